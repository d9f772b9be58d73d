"""Paging by cursor (keyset): the last page costs as much as the first, and pages stay stable while rows change."""

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, Protocol, TypeVar, get_args
from urllib.parse import urlencode

import orjson
from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.platform.fields import Between
from app.platform.ids import parse_id
from app.platform.problems import Problem, define_problem, illustrate

MAX_LIMIT = 1000
DEFAULT_LIMIT = 50

Item = TypeVar("Item")


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


Identified = TypeVar("Identified", bound=_Identified)

Limit = Annotated[int, Query(description="Items per page, 1 to 1,000."), Between(1, MAX_LIMIT)]
CursorText = Annotated[
    str | None,
    Query(
        max_length=4096,
        description="`next_cursor` of the previous page. Send it only with the same filter and sort.",
    ),
]

INVALID_CURSOR = define_problem(
    "invalid-cursor",
    400,
    "Invalid cursor",
    "A cursor continues only the query that returned it, with the same path, filter, sort and organization. "
    "Start again without `cursor`. Then send `next_cursor` unchanged, or follow the `Link` header.",
)


def _show_an_item(schema: JsonDict, page: type[BaseModel]) -> None:
    (item,) = get_args(page.model_fields["items"].annotation)
    extra = getattr(item, "model_config", {}).get("json_schema_extra")
    if isinstance(extra, dict):
        schema["examples"] = [{"items": extra["examples"], "next_cursor": None}]


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    model_config = ConfigDict(json_schema_extra=_show_an_item)
    items: list[Item]
    next_cursor: Annotated[
        str | None, Field(description="Send it as `cursor` to get the next page. Null on the last page.")
    ]


def encode_cursor(query: object, position: list[Any]) -> str:
    """Return an opaque cursor that continues `query` (any JSON value) after `position`."""
    packed = orjson.dumps([_fingerprint(query, position), position])
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def decode_cursor(query: object, cursor: str | None, kinds: tuple[type, ...]) -> list[Any] | None:
    """Return the position in `cursor`, or None if there is no cursor.

    Raises the problem `invalid-cursor` if the cursor was altered, belongs to another query, or has values of other
    types than `kinds`.
    """
    if cursor is None:
        return None
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        fingerprint, position = orjson.loads(packed)
        matches = fingerprint == _fingerprint(query, position) and [*map(type, position)] == list(kinds)
    except (binascii.Error, ValueError, TypeError):
        matches = False
    if not matches:
        raise invalid_cursor()
    return list(position)


def invalid_cursor() -> Problem:
    """Return the problem for a cursor that cannot be used."""
    return Problem(
        INVALID_CURSOR, "This cursor is damaged or belongs to another query. Start again without it."
    )


illustrate(invalid_cursor())


def link_next(request: Request, response: Response, cursor: str | None) -> None:
    """Add `Link: <…>; rel="next"` (RFC 8288): the same request with the next cursor."""
    if cursor is None:
        return
    parameters = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    root = request.scope.get("root_path", "")
    path = request.scope["path"].removeprefix(root)  # a server adds the prefix, a proxy removes it
    target = f"{root}{path}?{urlencode([*parameters, ('cursor', cursor)])}"
    response.headers["Link"] = f'<{target}>; rel="next"'


def decode_id(query: object, cursor: str | None) -> str | None:
    """Return the id after which a list in the order of ids continues, or None if there is no cursor."""
    position = decode_cursor(query, cursor, (str,))
    identifier = None if position is None else parse_id(position[0])
    if position is not None and identifier is None:
        raise invalid_cursor()
    return identifier


def page_by_id(
    request: Request,
    response: Response,
    query: object,
    found: Sequence[Identified],
    limit: int,
    present: Callable[[Identified], Any],
) -> dict[str, Any]:
    """Return a page of up to `limit` items. If `found` has more, link the next page."""
    shown = found[:limit]
    next_cursor = encode_cursor(query, [shown[-1].id]) if len(found) > limit else None
    link_next(request, response, next_cursor)
    return {"items": [present(each) for each in shown], "next_cursor": next_cursor}


def _fingerprint(query: object, position: object) -> str:
    packed = orjson.dumps([query, position], option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.blake2b(packed, digest_size=6).hexdigest()
