"""The shared values that routes take: the database, the clock and the stop signal."""

import asyncio
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request

from app.platform.clock import Clock
from app.platform.database import Database
from app.platform.state import StateKey

DATABASE: StateKey[Database] = StateKey("database")
CLOCK: StateKey[Clock] = StateKey("clock")
# Set when the process is told to stop.
STOPPING: StateKey[asyncio.Event] = StateKey("stopping")


async def _now(request: Request) -> datetime:
    return CLOCK.of(request.app).now()


Db = Annotated[Database, Depends(DATABASE)]
CurrentClock = Annotated[Clock, Depends(CLOCK)]
Now = Annotated[datetime, Depends(_now)]
