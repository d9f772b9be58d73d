"""`POST /imports/csv`."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app.domain.errors import InvalidValue
from app.imports.dependencies import Upload, not_csv, receive_upload
from app.imports.guards import Missing
from app.imports.problems import INCOMPLETE_FEED, UNREADABLE_CSV
from app.imports.reader import LONGEST_NAME, MOST_IGNORED, clean_delimiter, clean_encoding
from app.imports.rows import DateFormat, EmptyCells
from app.imports.service import ImportOptions, submit_import
from app.operations.dependencies import ACCEPTED, CurrentRunner, PreferHeader, submit_and_wait
from app.operations.operation import Operation
from app.operations.schemas import OperationDocument
from app.operations.service import OnStored
from app.organizations.dependencies import AuthenticatedRoute, BulkWriter
from app.organizations.organization import clean_max_deactivations
from app.organizations.principal import Principal
from app.platform.dependencies import Now
from app.platform.fields import PlainText, Reason, clean_with
from app.platform.idempotency import KEY_IN_PROGRESS, KEY_REUSED, KeyHeader, run_once
from app.platform.openapi import answers
from app.platform.problems import INVALID_REQUEST, Problem

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

router = APIRouter(prefix="/imports", tags=["operations"], route_class=AuthenticatedRoute)

_CSV_EXAMPLE = (
    "Username,External ID,Email,First Name,Last Name,Active,Expiration "
    "Date\na.okafor,HR-1003,a.okafor@example.org,Adaeze,Okafor,Yes,2027-12-31\nb.lindqvist,HR-1004,b.lindqvist@example.org,Björn,Lindqvist,No,\n"
)
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string"}, "example": _CSV_EXAMPLE},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    # Client generators recognize an upload by `format`.
                    "properties": {
                        "file": {"type": "string", "format": "binary", "contentMediaType": "text/csv"}
                    },
                    "required": ["file"],
                    "additionalProperties": False,
                },
                "encoding": {"file": {"contentType": "text/csv"}},
                "example": {"file": _CSV_EXAMPLE},
            },
        },
    }
}


@router.post(
    "/csv",
    summary="Import a roster",
    response_model=OperationDocument,
    openapi_extra=_BODY,
    responses=ACCEPTED
    | answers(UNREADABLE_CSV, INCOMPLETE_FEED, not_csv("application/json"), KEY_IN_PROGRESS, KEY_REUSED),
)
async def import_csv(
    request: Request,
    principal: BulkWriter,
    runner: CurrentRunner,
    now: Now,
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
    idempotency_key: KeyHeader = None,
    prefer: PreferHeader = None,
) -> Response:
    """Import a roster. Each row is about one learner and applies completely or not at all.

    Columns: Username, External ID, Email, First Name, Last Name, Active (Yes or No), Expiration Date (a date, or the
    word `never`). Their order, case and spacing do not matter. A missing column leaves the field unchanged, and so
    does an empty cell unless you send `empty=clear`. Up to 5,000 rows are done within the request. More are done in
    the background, in chunks.

    With `missing=deactivate` or a limit, all rows are checked before any is applied. During the check the operation is
    `running` and its `progress.done` stays 0. `progress.total` grows once, when the missing learners have been found.
    """
    async with receive_upload(request) as upload:
        options = ImportOptions(
            dry_run=dry_run,
            create=create,
            protect_manual=protect_manual,
            missing=missing,
            max_deactivations=max_deactivations,
            date_format=date_format,
            delimiter=delimiter,
            encoding=encoding or upload.charset,
            empty=empty,
            ignore_columns=tuple(ignore_columns),
            reason=reason,
        )

        submit = partial(_submit, runner, upload, options, principal, now)
        return await run_once(
            request,
            organization_id=principal.organization.id,
            key=idempotency_key,
            content_hash=upload.content_hash,
            work=partial(submit_and_wait, request, runner, prefer, submit),
        )


async def _submit(
    runner: CurrentRunner,
    upload: Upload,
    options: ImportOptions,
    principal: Principal,
    now: Now,
    on_stored: OnStored,
) -> Operation:
    try:
        return await submit_import(
            runner, upload.file, options, principal.organization, principal.actor, now, on_stored
        )
    except InvalidValue as error:  # the query was checked before, so it is the charset of the upload
        errors = [{"pointer": "header:Content-Type", "detail": str(error)}]
        raise Problem(INVALID_REQUEST, str(error), errors=errors) from None
