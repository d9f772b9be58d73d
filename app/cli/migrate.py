"""`rollcall migrate`: update the database schema on request."""

import asyncio

import typer

from app.cli.environment import open_database
from app.cli.options import show_examples
from app.operations import engine
from app.platform import schema

commands = typer.Typer()


@commands.command(
    epilog=show_examples(
        "ROLLCALL_DATABASE_URL=postgresql://rollcall@db.example.org/rollcall rollcall migrate"
    )
)
def migrate() -> None:
    """Update the database schema to this version. Safe to repeat, and to run on several machines at once.

    A start also updates an SQLite database or an empty one. Only this command updates an existing PostgreSQL
    schema.
    """
    asyncio.run(_migrate())


async def _migrate() -> None:
    async with open_database(prepared=False) as database:
        before = await schema.read_state(database)
        if before.current is not None and before.current not in before.known:
            before.require_current()
        await schema.upgrade(database)
        if not database.is_sqlite:
            # Create the engine's tables too, because a worker's database user may not be allowed to.
            await asyncio.to_thread(engine.migrate, database)
        typer.echo(f"The schema is at revision {before.needed} (before: {before.current or 'none'}).")
