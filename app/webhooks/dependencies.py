"""The values that the routes of webhooks take."""

from typing import Annotated

from fastapi import Depends

from app.platform.state import StateKey
from app.webhooks.sender import Sender

SENDER: StateKey[Sender] = StateKey("sender")
CurrentSender = Annotated[Sender, Depends(SENDER)]
