"""Organizations (the tenants), their API keys, and who may do what."""
