"""What routes take from the application: the database and the time."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request

from app.platform.database import Database


async def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


async def _now(request: Request) -> datetime:
    now: datetime = request.app.state.clock.now()
    return now


Db = Annotated[Database, Depends(_database)]
Now = Annotated[datetime, Depends(_now)]
