"""How routes receive a file, as a body or in a form, and the options of an import."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Annotated, BinaryIO

from fastapi import Depends, Query, Request
from pydantic import Field

from app.imports.encodings import clean_encoding
from app.imports.forms import FormFile
from app.imports.guards import Missing
from app.imports.headers import LONGEST_NAME, MOST_IGNORED
from app.imports.reader import clean_delimiter
from app.imports.rows import DateFormat, EmptyCells
from app.imports.service import ImportOptions
from app.imports.uploads import InTime, ReceivedFile, Uploads, receive_file
from app.limits import LIMITS
from app.organizations.organization import clean_max_deactivations
from app.platform.fields import PlainText, Reason, clean_with
from app.platform.media_types import (
    LONGEST_FILE_NAME,
    HeaderValue,
    clean_file_name,
    parse_header_value,
    read_file_name,
)
from app.platform.problems import UNSUPPORTED_MEDIA_TYPE, Problem
from app.platform.state import StateKey

UPLOADS: StateKey[Uploads] = StateKey("uploads")

_FORM = "multipart/form-data"
_CSV_TYPES = frozenset({"text/csv", "application/csv", "text/plain"})
JSON_TYPE = "application/json"
NDJSON_TYPES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
_JSON_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii"})
_LONGEST_QUOTE = 100

FileName = Annotated[
    str | None,
    # The route only declares it: what receives the upload reads it.
    Query(
        alias="file_name",
        max_length=LONGEST_FILE_NAME,
        description="The name of the file, to tell operations apart. The default is the name in the form, or in "
        "`Content-Disposition`.",
        examples=["roster.csv"],
    ),
]


@dataclass(frozen=True, slots=True)
class Upload:
    """A complete file. `media_type` and `charset` are those of its Content-Type; the charset is not checked yet.

    `file_name` is cleaned. `content_hash` covers the bytes and what says how to read them.
    """

    file: BinaryIO
    media_type: str
    charset: str | None
    file_name: str | None
    content_hash: str


@asynccontextmanager
async def receive_upload(request: Request, organization_id: int) -> AsyncIterator[Upload]:
    """Yield the CSV file of a body, or of a form's part `file`.

    Raises the problem `unsupported-media-type`, UnreadableForm, and what `receive_file` and `InTime` raise.
    """
    content_type = _parse_content_type(request)
    if content_type is None or content_type.value not in {_FORM, *_CSV_TYPES}:
        raise not_csv(_join_content_types(request))
    limits = LIMITS.of(request.app)
    async with aclosing(request.stream()) as stream:
        blocks: InTime | FormFile = InTime(stream, limits)
        if content_type.value == _FORM:
            blocks = FormFile(content_type.parameters.get("boundary", ""), blocks)
        async with receive_file(blocks, organization_id, UPLOADS.of(request.app), limits) as received:
            disposition = request.headers.get("content-disposition", "")
            if isinstance(blocks, FormFile):
                content_type, disposition = parse_header_value(blocks.content_type), blocks.disposition
                if content_type is None:
                    raise not_csv(blocks.content_type)
            yield _describe(request, received, content_type, disposition)


@asynccontextmanager
async def receive_json_upload(request: Request, organization_id: int) -> AsyncIterator[Upload]:
    """Yield the JSON document or the NDJSON file of a body. Both are UTF-8 (RFC 8259 section 8.1).

    Raises the problem `unsupported-media-type`, and what `receive_file` and `InTime` raise.
    """
    content_type = _parse_content_type(request)
    if content_type is None or content_type.value not in {JSON_TYPE, *NDJSON_TYPES}:
        raise not_json(_join_content_types(request))
    if content_type.parameters.get("charset", "utf-8").lower() not in _JSON_CHARSETS:
        raise not_json(_join_content_types(request))
    limits = LIMITS.of(request.app)
    async with (
        aclosing(request.stream()) as stream,
        receive_file(InTime(stream, limits), organization_id, UPLOADS.of(request.app), limits) as received,
    ):
        yield _describe(request, received, content_type, request.headers.get("content-disposition", ""))


def _describe(
    request: Request, received: ReceivedFile, content_type: HeaderValue, disposition: str
) -> Upload:
    charset = content_type.parameters.get("charset")
    # Two requests with the same bytes differ if they are read differently.
    read_as = f"{content_type.value} {charset} {received.content_hash}"
    return Upload(
        file=received.file,
        media_type=content_type.value,
        charset=charset,
        file_name=clean_file_name(request.query_params.get("file_name", "")) or read_file_name(disposition),
        content_hash=hashlib.sha256(read_as.encode()).hexdigest(),
    )


def _join_content_types(request: Request) -> str:
    # Several fields are one malformed field, so that nothing depends on which of them is read.
    return ", ".join(request.headers.getlist("content-type"))


def _parse_content_type(request: Request) -> HeaderValue | None:
    return parse_header_value(_join_content_types(request))


def not_csv(content_type: str) -> Problem:
    """Return the problem of a body that is not CSV, as its Content-Type says."""
    return _unsupported(
        content_type,
        "Send the CSV with `Content-Type: text/csv`, or as the part `file` of multipart/form-data.",
        f"text/csv, {_FORM}",
    )


def not_json(content_type: str) -> Problem:
    """Return the problem of a body that is neither JSON nor NDJSON in UTF-8, as its Content-Type says."""
    return _unsupported(
        content_type,
        "Send JSON with `Content-Type: application/json`, or NDJSON with `application/x-ndjson`, in UTF-8.",
        f"{JSON_TYPE}, application/x-ndjson",
    )


def _unsupported(content_type: str, advice: str, accepted: str) -> Problem:
    sent = "This body has no Content-Type."
    if content_type:
        sent = f"This body is {content_type[:_LONGEST_QUOTE]}."
    return Problem(UNSUPPORTED_MEDIA_TYPE, f"{sent} {advice}", headers={"Accept": accepted})


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
Rekey = Annotated[
    bool,
    Query(
        description="Whether a row may give a learner another external id. Without it, a row whose username belongs to "
        "a learner with another external id is `invalid` (`identity-conflict`), so that a new person does not take "
        "over the account of someone who had the username before."
    ),
]
ProtectManual = Annotated[
    bool,
    Query(
        description="Do not activate learners whose last deactivation was not made by this import's own API key. Rows "
        "that would do so are refused as `deactivated-by-hand`. Use this to keep a nightly feed from undoing "
        "the decision of anyone else."
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


def _collect_common_options(
    *,
    dry_run: DryRun = False,
    create: Create = True,
    rekey: Rekey = False,
    protect_manual: ProtectManual = False,
    missing: MissingLearners = Missing.KEEP,
    max_deactivations: MaxDeactivations = None,
    reason: Annotated[Reason | None, Query(description="The reason. The history shows it.")] = None,
) -> ImportOptions:
    """Return the options of the query that do not depend on the format."""
    return ImportOptions(
        dry_run=dry_run,
        create=create,
        rekey=rekey,
        protect_manual=protect_manual,
        missing=missing,
        max_deactivations=max_deactivations,
        reason=reason,
    )


JsonImportQuery = Annotated[ImportOptions, Depends(_collect_common_options)]


def _collect_csv_options(
    *,
    common: JsonImportQuery,
    date_format: DateFormatName = DateFormat.ISO,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    empty: Empty = EmptyCells.KEEP,
    ignore_columns: IgnoreColumns = _NO_COLUMNS,
) -> ImportOptions:
    """Return the options of the query for a CSV file."""
    return replace(
        common,
        date_format=date_format,
        delimiter=delimiter,
        encoding=encoding,
        empty=empty,
        ignore_columns=tuple(ignore_columns),
    )


ImportQuery = Annotated[ImportOptions, Depends(_collect_csv_options)]
