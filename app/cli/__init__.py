"""The command line: `rollcall`, which works on the database directly."""
