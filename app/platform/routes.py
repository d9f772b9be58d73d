"""Strict routes: they reject everything that they do not know."""

from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from app.platform.problems import INVALID_REQUEST, UNSUPPORTED_MEDIA_TYPE, Problem, illustrate

# How much of a media type that was sent a sentence shows.
_LONGEST_QUOTE = 100
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRoute(APIRoute):
    """A route that rejects unknown parameters and bodies, so that a mistyped filter never selects everyone."""

    def get_route_handler(self) -> Handler:
        """Return the framework's handler with the strict checks in front."""
        handle = super().get_route_handler()
        parameters = dict(_query_parameters(self.dependant))
        takes_json = self.body_field is not None
        # A route that reads its own body documents it in `openapi_extra`.
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
        """Check the request before anything else is read. A subclass overrides this."""


def _query_parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """Yield the name of each query parameter, and whether it can be repeated."""
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
            f"Sent more than once: {', '.join(map(repr, repeated))}. Send each of these parameters once.",
            errors=_errors(repeated, "Sent more than once. Send this parameter once."),
        )


def unknown_parameters(unknown: Sequence[str], known: Collection[str]) -> Problem:
    """Return the problem for query parameters that an address does not have."""
    supported = (
        f"This address supports: {', '.join(sorted(known))}."
        if known
        else "This address has no query parameters."
    )
    return Problem(
        INVALID_REQUEST,
        f"Unknown query parameter: {', '.join(map(repr, unknown))}. {supported}",
        errors=_errors(unknown, "Unknown query parameter. Check the spelling, or leave it out."),
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
    wrong = (
        f"{content_type[:_LONGEST_QUOTE]!r} is not supported"
        if content_type
        else "The Content-Type is missing"
    )
    return Problem(
        UNSUPPORTED_MEDIA_TYPE,
        f"{wrong}. Send the body as JSON with `Content-Type: application/json`.",
        headers={"Accept": "application/json"},
    )


async def _require_no_body(request: Request) -> None:
    if not _announces_body(request):
        return
    async for block in request.stream():
        if block:
            detail = "This address takes no body. Send the request without one."
            raise Problem(INVALID_REQUEST, detail, errors=[{"pointer": "", "detail": detail}])


illustrate(_not_json("text/plain"))
