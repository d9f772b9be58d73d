"""How strict every route is: no unknown query parameters, and JSON bodies that say they are JSON."""

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from app.platform.problems import INVALID_REQUEST, UNSUPPORTED_MEDIA_TYPE, Problem

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRoute(APIRoute):
    """A route that refuses what it does not know, so that a mistyped filter never selects everyone."""

    def get_route_handler(self) -> Handler:
        """The framework's handler behind our checks."""
        handle = super().get_route_handler()
        known = frozenset(_query_names(self.dependant))
        takes_json = self.body_field is not None

        async def check_and_handle(request: Request) -> Response:
            await self.admit(request)
            unknown = [name for name in request.query_params if name not in known]
            if unknown:
                raise _unknown_parameters(unknown, known)
            if takes_json:
                _require_json(request)
            return await handle(request)

        return check_and_handle

    async def admit(self, request: Request) -> None:
        """What is checked before anything else is looked at."""


def _query_names(dependant: Dependant) -> Iterator[str]:
    for parameter in dependant.query_params:
        annotation = parameter.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            for name, field in annotation.model_fields.items():
                yield field.alias or name
        else:
            yield parameter.alias
    for dependency in dependant.dependencies:
        yield from _query_names(dependency)


def _unknown_parameters(unknown: list[str], known: frozenset[str]) -> Problem:
    takes = f"It takes: {', '.join(sorted(known))}." if known else "It takes none."
    errors = [
        {"pointer": f"?{name}", "detail": "There is no such query parameter here."}
        for name in dict.fromkeys(unknown)
    ]
    return Problem(
        INVALID_REQUEST,
        f"This address has no query parameter {', '.join(map(repr, unknown))}. {takes}",
        errors=errors,
    )


def _require_json(request: Request) -> None:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    if has_body and content_type != "application/json" and not content_type.endswith("+json"):
        raise Problem(
            UNSUPPORTED_MEDIA_TYPE,
            f"The body must be JSON, sent with `Content-Type: application/json`, not {content_type or 'nothing'!r}.",
            headers={"Accept": "application/json"},
        )
