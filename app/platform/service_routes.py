"""Routes that every service has: health, its own description, and a page for each kind of problem."""

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
from app.platform.state import StateKey

_HTML = "text/html"
_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem;color-scheme:light dark}"
    "code{font-family:ui-monospace,monospace}"
)

_HTML_PAGE: dict[str, Any] = {
    "schema": {"type": "string"},
    "example": '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Not found</title> …',
}

_UNKNOWN_CODE = Problem(NOT_FOUND, "There is no problem with this code. GET /problems lists all of them.")
_NOT_OFFERED = not_offered((_HTML, JSON), "image/png")

# Unknown parameters are accepted here, because probes and browsers add their own, such as a cache-buster.
# The YAML is written once and then kept.
OPENAPI_YAML: StateKey[str] = StateKey("openapi_yaml")

TAG = Tag(name="service", description="Health, metrics, problems and this description. No credential needed.")
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
    """The state of the service."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: str = "ok"


@router.get("/healthz", summary="Check that the process is alive", response_model=Health)
async def check_health() -> Any:
    """Answer as long as the process is alive. Needs no credential."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    summary="Check that the service is ready",
    response_model=Health,
    responses=answers(DATABASE_UNAVAILABLE),
)
async def check_readiness(database: Db) -> Any:
    """Check that the database can be reached and has the schema of this version. Needs no credential."""
    state = await read_state(database)
    try:
        state.require_current()
    except SchemaMismatch as error:
        raise Problem(DATABASE_UNAVAILABLE, str(error), headers={"Retry-After": "10"}) from None
    return {"status": "ok"}


@router.get(
    "/openapi.yaml",
    summary="Get this API description",
    response_class=Response,
    responses={
        200: {
            "content": {"application/yaml": {"schema": {"type": "object"}, "example": {"openapi": "3.1.0"}}}
        }
    },
)
async def read_openapi(request: Request) -> Response:
    """Return the OpenAPI 3.1 document of this service as YAML. `/docs` shows it as a page. Needs no credential."""
    text = OPENAPI_YAML.find(request.app)
    if text is None:
        # Writing it takes half a second, during which the event loop could answer nothing else.
        text = OPENAPI_YAML.put(request.app, await asyncio.to_thread(to_yaml, request.app.openapi()))
    return Response(text, media_type="application/yaml")


def to_yaml(document: dict[str, Any]) -> str:
    """Return the document as YAML. Equal documents give equal text."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


@router.get("/", include_in_schema=False)
async def go_to_documentation() -> RedirectResponse:
    """Redirect a browser to the documentation."""
    return RedirectResponse("/docs")


@router.get(
    "/problems",
    summary="List all kinds of problems",
    response_class=Response,
    responses=answers(
        _NOT_OFFERED,
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
    """List every kind of problem that this service can return. Needs no credential."""
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
    summary="Explain a kind of problem",
    response_class=Response,
    responses=answers(
        _UNKNOWN_CODE,
        _NOT_OFFERED,
        ok={_HTML: _HTML_PAGE, JSON: {"schema": {"type": "object"}, "example": _describe(NOT_FOUND)}},
    ),
)
async def explain_problem(
    request: Request,
    code: Annotated[str, Path(description="A problem's `code`.", examples=["not-found"])],
) -> Response:
    """Explain one kind of problem. The `type` of a problem points here. Needs no credential."""
    kind = CATALOGUE.get(code)
    if kind is None:
        raise Problem(NOT_FOUND, _UNKNOWN_CODE.detail)
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
