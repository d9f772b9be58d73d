"""How strict the routes are that need a credential: nothing that is sent is passed over."""

from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from app.platform.problems import INVALID_REQUEST, UNSUPPORTED_MEDIA_TYPE, Problem, illustrate

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRoute(APIRoute):
    """A route that refuses what it does not know, so that a mistyped filter never selects everyone."""

    def get_route_handler(self) -> Handler:
        """The framework's handler behind our checks."""
        handle = super().get_route_handler()
        parameters = dict(_query_parameters(self.dependant))
        takes_json = self.body_field is not None
        # A route that reads its body itself documents it itself.
        takes_body = takes_json or "requestBody" in (self.openapi_extra or {})

        async def check_and_handle(request: Request) -> Response:
            await self.admit(request)
            _require_known(request, parameters)
            if takes_json:
                _require_json(request)
            elif not takes_body:
                await _require_no_body(request)
            return await handle(request)

        return check_and_handle

    async def admit(self, request: Request) -> None:
        """What is checked before anything else is looked at."""


def _query_parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """The name of each query parameter, and whether it can be repeated."""
    for parameter in dependant.query_params:
        annotation = parameter.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            for name, field in annotation.model_fields.items():
                yield field.alias or name, _is_list(field.annotation)
        else:
            yield parameter.alias, _is_list(annotation)
    for dependency in dependant.dependencies:
        yield from _query_parameters(dependency)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) in (list, tuple) or any(map(_is_list, get_args(annotation)))


def _require_known(request: Request, parameters: Mapping[str, bool]) -> None:
    sent = request.query_params
    unknown = [name for name in sent if name not in parameters]
    if unknown:
        raise unknown_parameters(unknown, parameters)
    repeated = [name for name in sent if not parameters[name] and len(sent.getlist(name)) > 1]
    if repeated:
        raise Problem(
            INVALID_REQUEST,
            f"Sent more than once, though it takes one value: {', '.join(map(repr, repeated))}.",
            errors=_errors(repeated, "This takes one value and was sent more than once."),
        )


def unknown_parameters(unknown: Sequence[str], known: Collection[str]) -> Problem:
    """The refusal of query parameters that an address does not have."""
    takes = f"It takes: {', '.join(sorted(known))}." if known else "It takes none."
    return Problem(
        INVALID_REQUEST,
        f"This address has no query parameter {', '.join(map(repr, unknown))}. {takes}",
        errors=_errors(unknown, "There is no such query parameter here."),
    )


def _errors(names: Sequence[str], detail: str) -> list[dict[str, str]]:
    return [{"pointer": f"?{name}", "detail": detail} for name in names]


def _announces_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


def _require_json(request: Request) -> None:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not _announces_body(request) or content_type == "application/json" or content_type.endswith("+json"):
        return
    raise _not_json(content_type)


def _not_json(content_type: str) -> Problem:
    came = f"not {content_type!r}" if content_type else "and came without a Content-Type"
    return Problem(
        UNSUPPORTED_MEDIA_TYPE,
        f"The body must be JSON, sent with `Content-Type: application/json`, {came}.",
        headers={"Accept": "application/json"},
    )


async def _require_no_body(request: Request) -> None:
    if not _announces_body(request):
        return
    async for block in request.stream():
        if block:
            detail = "This takes no body; what it takes stands in the path and the query."
            raise Problem(INVALID_REQUEST, detail, errors=[{"pointer": "", "detail": detail}])


illustrate(_not_json("text/plain"))
