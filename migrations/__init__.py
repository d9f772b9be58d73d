"""The migrations of the database, applied by `rollcall migrate`."""
