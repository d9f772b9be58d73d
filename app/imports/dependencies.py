"""Receives a CSV upload: a plain body or a multipart form, spooled to disk, never whole in memory."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from email.message import Message
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from app.platform.problems import INVALID_REQUEST, UNSUPPORTED_MEDIA_TYPE, Problem

_IN_MEMORY_BYTES = 1024 * 1024
_PART = "file"
_CSV_TYPES = frozenset({"text/csv", "application/csv", "text/plain"})


@dataclass(frozen=True, slots=True)
class Upload:
    """A complete file, the charset in its Content-Type, and the SHA-256 of its bytes."""

    file: BinaryIO
    charset: str | None
    content_hash: str


@asynccontextmanager
async def receive_upload(request: Request) -> AsyncIterator[Upload]:
    """Yield the file of the request. Raises the problems `unsupported-media-type` and `invalid-request`."""
    content_type, charset = _parse_content_type(request.headers.get("content-type", ""))
    if content_type == "multipart/form-data":
        async with _read_form(request) as form:
            names = [name for name, _ in form.multi_items()]
            part = form.get(_PART)
            if names != [_PART] or not isinstance(part, UploadFile):
                raise _wrong_parts(names)
            part_charset = _parse_content_type(part.content_type or "")[1]
            yield Upload(part.file, part_charset, await asyncio.to_thread(_hash, part.file))
        return
    if content_type not in _CSV_TYPES:
        raise not_csv(content_type)
    digest = hashlib.sha256()
    with SpooledTemporaryFile(_IN_MEMORY_BYTES) as spool:
        async for block in request.stream():
            digest.update(block)
            spool.write(block)
        yield Upload(cast("BinaryIO", spool), charset, digest.hexdigest())


class _FormParser(MultiPartParser):
    """Reads our part as a file even without a filename, which `curl -F file='<roster.csv'` does not send."""

    def on_headers_finished(self) -> None:
        """Begin the part after all its header fields have been read."""
        part = self._current_part
        _, options = parse_options_header(part.content_disposition)
        if part.content_disposition and options.get(b"name") == _PART.encode() and b"filename" not in options:
            part.content_disposition += b'; filename=""'
        super().on_headers_finished()


@asynccontextmanager
async def _read_form(request: Request) -> AsyncIterator[FormData]:
    async with aclosing(request.stream()) as stream:
        try:
            form = await _FormParser(request.headers, stream, max_files=2, max_fields=10).parse()
        except MultiPartException:
            detail = f"The form cannot be read. Send one part, named {_PART!r}, as multipart/form-data."
            raise Problem(INVALID_REQUEST, detail, errors=[{"pointer": "", "detail": detail}]) from None
    try:
        yield form
    finally:
        await form.close()


def _hash(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while block := file.read(_IN_MEMORY_BYTES):
        digest.update(block)
    return digest.hexdigest()


def _parse_content_type(header: str) -> tuple[str, str | None]:
    message = Message()
    message["Content-Type"] = header
    charset = message.get_param("charset")
    # Not the message's own method, which turns every unreadable type into text/plain.
    return header.partition(";")[0].strip().lower(), charset if isinstance(charset, str) else None


def not_csv(content_type: str) -> Problem:
    """Return the problem of a body of another media type."""
    sent = f"This body is {content_type}." if content_type else "This body has no Content-Type."
    return Problem(
        UNSUPPORTED_MEDIA_TYPE,
        f"{sent} Send the CSV with `Content-Type: text/csv`, or as the part `file` of multipart/form-data.",
        headers={"Accept": "text/csv, multipart/form-data"},
    )


def _wrong_parts(names: list[str]) -> Problem:
    found = ", ".join(map(repr, names)) or "none"
    detail = f"Send exactly one part, named 'file'. Found: {found}. Send options as query parameters."
    return Problem(INVALID_REQUEST, detail, errors=[{"pointer": "/file", "detail": detail}])
