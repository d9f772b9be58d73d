"""What any service needs; knows nothing of learners."""
