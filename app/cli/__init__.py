"""The door at a terminal: the command `rollcall`, which works on the database itself."""
