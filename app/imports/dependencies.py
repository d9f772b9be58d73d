"""Receives a CSV upload, spooled to disk and never whole in memory, and collects the options of an import."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from email.message import Message
from tempfile import SpooledTemporaryFile
from typing import Annotated, BinaryIO, cast

from fastapi import Depends, Query, Request
from pydantic import Field
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from app.imports.guards import Missing
from app.imports.reader import LONGEST_NAME, MOST_IGNORED, clean_delimiter, clean_encoding
from app.imports.rows import DateFormat, EmptyCells
from app.imports.service import ImportOptions
from app.organizations.organization import clean_max_deactivations
from app.platform.fields import PlainText, Reason, clean_with
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


DryRun = Annotated[bool, Query(description="Change nothing, but report what would happen.")]
Create = Annotated[bool, Query(description="Whether to create learners that do not exist yet.")]
DateFormatName = Annotated[
    DateFormat,
    Query(
        description="`iso`: YYYY-MM-DD. `mdy`: MM/DD/YYYY. `dmy`: DD/MM/YYYY. "
        "The last two also accept . or - as the separator."
    ),
]
Delimiter = Annotated[
    Annotated[str, Field(max_length=3), clean_with(clean_delimiter)] | None,
    Query(description="One of `,` `;` `|` or `tab`. By default it is detected from the header."),
]
Encoding = Annotated[
    Annotated[PlainText, Field(max_length=40), clean_with(clean_encoding)] | None,
    Query(
        description="For example utf-8, utf-16 or windows-1252. The default is the charset of Content-Type. If that "
        "has none, the encoding is detected."
    ),
]
Empty = Annotated[
    EmptyCells,
    Query(
        description="What an empty cell does. `keep` leaves the field unchanged. `clear` removes the external id, the "
        "email, a name or the expiration date. It never changes the username or the status."
    ),
]
IgnoreColumns = Annotated[
    list[Annotated[PlainText, Field(max_length=LONGEST_NAME)]],
    Query(
        max_length=MOST_IGNORED,
        description="Columns to ignore, as the file names them: repeat the parameter, or separate them with commas. A "
        "column that may say who has access is ignored only if it is named here.",
        examples=[["suspended"]],
    ),
]
ProtectManual = Annotated[
    bool,
    Query(
        description="Do not activate learners that were deactivated by a single call or a bulk action. Rows that would "
        "do so are refused as `deactivated-by-hand`. Use this to keep a nightly feed from undoing a person's decision."
    ),
]
MissingLearners = Annotated[
    Missing,
    Query(
        description="What to do with missing learners: those that no row names, not even an invalid or refused row. "
        "`keep` leaves them unchanged. `deactivate` deactivates those who existed before the import was sent, "
        "including expired ones. Each gets an outcome `changed` without a line, and counts in `progress.total`. A file "
        "without rows is refused (`unreadable-csv`). A file is also refused (`incomplete-feed`) if it may be cut off, "
        "or if rows do not say which learner they are about."
    ),
]
MaxDeactivations = Annotated[
    Annotated[PlainText, clean_with(clean_max_deactivations)] | None,
    Query(
        description="The most learners that the import may deactivate: a number, or a percentage such as `5%` of "
        "the learners who are not deactivated, rounded down. Rows with Active=No and missing "
        "learners both count. If the import would deactivate more, nothing is changed. The operation "
        "then ends as `refused` with the problem `too-many-deactivations`, and its counts and "
        "outcomes show what would have happened. With `missing=deactivate`, the default is the "
        "organization's `max_deactivations`. Otherwise there is no limit by default.",
        examples=["5%"],
    ),
]

_NO_COLUMNS: list[str] = []


def _collect_options(
    *,
    dry_run: DryRun = False,
    create: Create = True,
    date_format: DateFormatName = DateFormat.ISO,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    empty: Empty = EmptyCells.KEEP,
    ignore_columns: IgnoreColumns = _NO_COLUMNS,
    protect_manual: ProtectManual = False,
    missing: MissingLearners = Missing.KEEP,
    max_deactivations: MaxDeactivations = None,
    reason: Annotated[Reason | None, Query(description="The reason. The history shows it.")] = None,
) -> ImportOptions:
    """Return the options of the query."""
    return ImportOptions(
        dry_run=dry_run,
        create=create,
        protect_manual=protect_manual,
        missing=missing,
        max_deactivations=max_deactivations,
        date_format=date_format,
        delimiter=delimiter,
        encoding=encoding,
        empty=empty,
        ignore_columns=tuple(ignore_columns),
        reason=reason,
    )


ImportQuery = Annotated[ImportOptions, Depends(_collect_options)]
