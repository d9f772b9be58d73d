"""Rollcall decides who may log in to a learning portal."""

__version__ = "0.1.0"
