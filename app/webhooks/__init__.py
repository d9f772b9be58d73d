"""Webhooks: events sent to the addresses that an organization chooses (Standard Webhooks)."""
