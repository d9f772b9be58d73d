"""What every service answers: health, its own description, and a page for each kind of problem."""

import asyncio
import re
from html import escape
from typing import Annotated, Any

import yaml
from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict

from app.platform.dependencies import Db
from app.platform.negotiation import JSON, choose_media_type, not_offered
from app.platform.openapi import Tag, answers
from app.platform.problems import (
    CATALOGUE,
    DATABASE_UNAVAILABLE,
    NOT_FOUND,
    Problem,
    ProblemType,
)
from app.platform.schema import SchemaMismatch, read_state

_HTML = "text/html"
_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem;color-scheme:light dark}"
    "code{font-family:ui-monospace,monospace}"
)

_HTML_PAGE: dict[str, Any] = {
    "schema": {"type": "string"},
    "example": '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Not found</title> …',
}

_NO_KIND = Problem(NOT_FOUND, "There is no such kind of problem; GET /problems lists them.")
_NO_SUCH_FORM = not_offered((_HTML, JSON), "image/png")

# Probes and browsers add parameters of their own, such as a cache-buster; nothing here selects anyone.
TAG = Tag(name="service", description="Health, metrics and this description. No credential needed.")
router = APIRouter(tags=["service"])


def _describe(kind: ProblemType) -> dict[str, Any]:
    return {
        "type": kind.uri,
        "code": kind.code,
        "status": kind.status,
        "title": kind.title,
        "explanation": kind.explanation,
    }


class Health(BaseModel):
    """The process answers."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: str = "ok"


@router.get("/healthz", summary="Is the process alive?", response_model=Health)
async def check_health() -> Any:
    """Answers as long as the process does. Needs no credential."""
    return {"status": "ok"}


@router.get(
    "/readyz", summary="Can it serve?", response_model=Health, responses=answers(DATABASE_UNAVAILABLE)
)
async def check_readiness(database: Db) -> Any:
    """Whether the database is reachable and its schema is this version's. Needs no credential."""
    state = await read_state(database)
    try:
        state.require_current()
    except SchemaMismatch as error:
        raise Problem(DATABASE_UNAVAILABLE, str(error), headers={"Retry-After": "10"}) from None
    return {"status": "ok"}


@router.get(
    "/openapi.yaml",
    summary="This description",
    response_class=Response,
    responses={
        200: {
            "content": {"application/yaml": {"schema": {"type": "object"}, "example": {"openapi": "3.1.0"}}}
        }
    },
)
async def read_openapi(request: Request) -> Response:
    """The OpenAPI 3.1 document of this service, as YAML; `/docs` shows it. Needs no credential."""
    state = request.app.state
    if not hasattr(state, "openapi_yaml"):
        # Writing it takes half a second, in which nobody else would be answered.
        state.openapi_yaml = await asyncio.to_thread(to_yaml, request.app.openapi())
    return Response(state.openapi_yaml, media_type="application/yaml")


def to_yaml(document: dict[str, Any]) -> str:
    """The document as YAML, always the same for the same document."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


@router.get("/", include_in_schema=False)
async def go_to_documentation() -> RedirectResponse:
    """Where somebody who opens the address in a browser wants to go."""
    return RedirectResponse("/docs")


@router.get(
    "/problems",
    summary="All kinds of problem",
    response_class=Response,
    responses=answers(
        _NO_SUCH_FORM,
        ok={
            _HTML: _HTML_PAGE,
            JSON: {
                "schema": {"type": "array", "items": {"type": "object"}},
                "example": [_describe(NOT_FOUND)],
            },
        },
    ),
)
async def list_problems(request: Request) -> Response:
    """The catalogue of the problems that this service can answer with. Needs no credential."""
    kinds = sorted(CATALOGUE.values(), key=lambda kind: kind.code)
    if choose_media_type(request, (_HTML, JSON)) == JSON:
        return JSONResponse([_describe(kind) for kind in kinds])
    rows = "".join(
        f'<li><a href="problems/{kind.code}"><code>{kind.code}</code></a> ({kind.status}): {escape(kind.title)}</li>'
        for kind in kinds
    )
    return _page("Problems", f"<ul>{rows}</ul>")


@router.get(
    "/problems/{code}",
    summary="What a kind of problem means",
    response_class=Response,
    responses=answers(
        _NO_KIND,
        _NO_SUCH_FORM,
        ok={_HTML: _HTML_PAGE, JSON: {"schema": {"type": "object"}, "example": _describe(NOT_FOUND)}},
    ),
)
async def explain_problem(
    request: Request,
    code: Annotated[str, Path(description="A problem's `code`.", examples=["not-found"])],
) -> Response:
    """The page to which a problem's `type` points. Needs no credential."""
    kind = CATALOGUE.get(code)
    if kind is None:
        raise Problem(NOT_FOUND, _NO_KIND.detail)
    if choose_media_type(request, (_HTML, JSON)) == JSON:
        return JSONResponse(_describe(kind))
    paragraphs = (
        f"<p>{_as_html(kind.explanation)}</p><p>Status {kind.status}, code <code>{kind.code}</code>.</p>"
    )
    return _page(kind.title, paragraphs + '<p><a href="../problems">All problems</a></p>')


def _as_html(text: str) -> str:
    return re.sub("`([^`]*)`", r"<code>\1</code>", escape(text))


def _page(title: str, body: str) -> HTMLResponse:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} - Rollcall</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>{body}</body></html>"
    )
