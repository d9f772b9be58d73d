"""`/console/`: the files of the console. They need no build and no credential; the API calls of the page do."""

import gzip
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from app.platform.problems import NOT_FOUND, Problem

_FOLDER = Path(__file__).parent / "static"
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# The page uses only what comes from this service. With the last two, a script cannot turn text into markup, so a
# learner's name can never become a part of the page.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
}

router = APIRouter(prefix="/console", include_in_schema=False)


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    compressed: bytes
    media_type: str
    etag: str


def _read_files() -> dict[str, _File]:
    """Read every file, by its path below the folder.

    They are read once, so no requested path can lead elsewhere, and the ETags are the same in every process.
    """
    return {
        path.relative_to(_FOLDER).as_posix(): _File(
            content := path.read_bytes(),
            # Without the time, so that the bytes are the same in every process.
            gzip.compress(content, mtime=0),
            _MEDIA_TYPES[path.suffix],
            # Weak, since both forms of a file have the same one (RFC 9110 section 8.8.1).
            f'W/"{hashlib.blake2b(content, digest_size=12).hexdigest()}"',
        )
        for path in sorted(_FOLDER.rglob("*"))
        if path.suffix in _MEDIA_TYPES
    }


_FILES = _read_files()


@router.get("")
async def go_to_console(request: Request) -> RedirectResponse:
    """Redirect to the address with a slash: the page names its files relative to it."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}/console/")


@router.get("/{path:path}")
async def read_file(request: Request, path: str) -> Response:
    """Serve one file of the console; index.html if none is named."""
    file = _FILES.get(path or "index.html")
    if file is None:
        raise Problem(NOT_FOUND, "The console has no such file.")
    headers = {**_HEADERS, "ETag": file.etag}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if known & {file.etag.removeprefix("W/"), "*"}:
        return Response(status_code=304, headers=headers)
    if _accepts_gzip(request.headers.get("accept-encoding", "")):
        headers["Content-Encoding"] = "gzip"
        return Response(file.compressed, media_type=file.media_type, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)


def _accepts_gzip(accepted: str) -> bool:
    """Return whether an Accept-Encoding (RFC 9110 section 12.5.3) accepts gzip."""
    for each in accepted.lower().split(","):
        coding, _, weight = (part.strip() for part in each.partition(";"))
        if coding in {"gzip", "x-gzip"}:
            return not re.fullmatch(r"q\s*=\s*0(\.0*)?", weight)
    return False
