"""Organizations (the tenants), their API keys, and what each key may do."""
