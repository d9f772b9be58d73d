"""The same by `python -m app.cli`, for where the command `rollcall` is not installed."""

from app.cli.main import main

main()
