"""The application's shared values: each has one key, which knows its type.

A key lives beside the code that needs its value, such as `DATABASE` in dependencies.py. The application stores the
values when it starts. Routes take them with `Depends(KEY)`.
"""

from typing import Generic, TypeVar

from fastapi import FastAPI, Request

T = TypeVar("T")


class StateKey(Generic[T]):
    """The name of one shared value. As a dependency it returns the value for the request's application."""

    def __init__(self, name: str) -> None:
        """Give the value a `name` that no other key has."""
        self._name = f"rollcall_{name}"

    def put(self, app: FastAPI, value: T) -> T:
        """Store `value` in the application and return it."""
        setattr(app.state, self._name, value)
        return value

    def of(self, app: FastAPI) -> T:
        """Return the value. Raises AttributeError if the application has not started."""
        value: T = getattr(app.state, self._name)
        return value

    def find(self, app: FastAPI) -> T | None:
        """Return the value, or None if there is none yet."""
        value: T | None = getattr(app.state, self._name, None)
        return value

    async def __call__(self, request: Request) -> T:
        """Return the value for the application that serves `request`."""
        return self.of(request.app)
