"""`python -m app.cli`, for places where the command `rollcall` is not installed."""

from app.cli.main import main

main()
