"""What any service needs. Nothing here knows what this one is about."""
