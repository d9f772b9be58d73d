"""`rollcall migrate`: the schema, brought to this version when somebody says so."""

import asyncio

import typer

from app.cli.environment import open_database
from app.cli.options import examples
from app.operations import engine
from app.platform import schema

commands = typer.Typer()


@commands.command(
    epilog=examples("ROLLCALL_DATABASE_URL=postgresql://rollcall@db.example.org/rollcall rollcall migrate")
)
def migrate() -> None:
    """Bring the database's schema to this version. Safe to repeat, and from several machines at once.

    An empty database and any SQLite file are brought there by every start; a PostgreSQL schema only by this.
    """

    async def work() -> None:
        async with open_database(prepared=False) as database:
            before = await schema.read_state(database)
            if before.current is not None and before.current not in before.known:
                before.require_current()
            await schema.upgrade(database)
            if not database.is_sqlite:
                # The workers' own tables, for those that run as users who may not create any.
                await asyncio.to_thread(engine.migrate, database)
            typer.echo(f"The schema is at revision {before.needed} (it was at {before.current or 'none'}).")

    asyncio.run(work())
