"""Webhooks: events sent to where an organization wants to have them (Standard Webhooks)."""
