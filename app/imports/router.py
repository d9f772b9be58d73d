"""`POST /imports/csv`."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app.domain.errors import InvalidValue
from app.imports.guards import Missing
from app.imports.problems import INCOMPLETE_FEED, UNREADABLE_CSV
from app.imports.reader import clean_delimiter, clean_encoding
from app.imports.rows import DateFormat
from app.imports.service import ImportOptions, submit_import
from app.imports.uploads import Upload, no_csv, receive_upload
from app.operations.dependencies import ACCEPTED, CurrentRunner
from app.operations.operation import Operation
from app.operations.schemas import OperationDocument
from app.operations.service import OnStored
from app.operations.waiting import PreferHeader, submit_and_wait
from app.organizations.dependencies import AuthenticatedRoute, BulkWriter
from app.organizations.organization import clean_max_deactivations
from app.organizations.principal import Principal
from app.platform.dependencies import Now
from app.platform.fields import PlainText, Reason, clean_with
from app.platform.idempotency import KEY_IN_PROGRESS, KEY_REUSED, Claim, KeyHeader, run_once
from app.platform.openapi import answers
from app.platform.problems import INVALID_REQUEST, Problem

MaxDeactivations = Annotated[
    Annotated[PlainText, clean_with(clean_max_deactivations)] | None,
    Query(
        description="A number, or a percentage such as `5%` of the learners who are not deactivated when the import "
        "is judged, rounded down. Where more would be deactivated, by rows with Active=No and for want of a row, "
        "nothing is done: the operation ends as `refused` with the problem `too-many-deactivations`, and its counts "
        "and outcomes show what would have been. Left out, it is the organization's `max_deactivations` with "
        "`missing=deactivate`, and else there is no limit.",
        examples=["5%"],
    ),
]

router = APIRouter(prefix="/imports", tags=["operations"], route_class=AuthenticatedRoute)

_CSV_EXAMPLE = (
    "Username,External ID,Email,First Name,Last Name,Active,Expiration Date\n"
    "a.okafor,HR-1003,a.okafor@example.org,Adaeze,Okafor,Yes,2027-12-31\n"
    "b.lindqvist,HR-1004,b.lindqvist@example.org,Björn,Lindqvist,No,\n"
)
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string"}, "example": _CSV_EXAMPLE},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    # `format` is what generators of clients know an upload by.
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
    | answers(UNREADABLE_CSV, INCOMPLETE_FEED, no_csv("application/json"), KEY_IN_PROGRESS, KEY_REUSED),
)
async def import_csv(
    request: Request,
    principal: BulkWriter,
    runner: CurrentRunner,
    now: Now,
    dry_run: Annotated[bool, Query(description="The same counts and outcomes; changes nothing.")] = False,
    create: Annotated[
        bool, Query(description="Whether a row whose learner does not exist creates one.")
    ] = True,
    date_format: Annotated[
        DateFormat,
        Query(description="`iso` YYYY-MM-DD, `mdy` MM/DD/YYYY, `dmy` DD/MM/YYYY (also with . or -)."),
    ] = DateFormat.ISO,
    delimiter: Annotated[
        Annotated[str, Field(max_length=3), clean_with(clean_delimiter)] | None,
        Query(description="One of `,` `;` `|` or `tab`; else found out from the header."),
    ] = None,
    encoding: Annotated[
        Annotated[PlainText, Field(max_length=40), clean_with(clean_encoding)] | None,
        Query(
            description="Such as utf-8, utf-16 or windows-1252; else Content-Type's charset, else found out."
        ),
    ] = None,
    protect_manual: Annotated[
        bool,
        Query(
            description="Refuse, as `deactivated-by-hand`, to activate a learner whom a person deactivated (by a "
            "single call or a bulk action, not by an import), so that a nightly feed does not undo it."
        ),
    ] = False,
    missing: Annotated[
        Missing,
        Query(
            description="What becomes of learners whom no row names, not even an invalid or refused one: `keep` "
            "leaves them as they are; `deactivate` deactivates those who existed before the import was sent, expired "
            "ones too. Each then has an outcome `changed` without a line, and counts into `progress.total`. A file "
            "without rows (`unreadable-csv`), one that may have been cut off and one with rows that do not tell "
            "whose they are (`incomplete-feed`) are refused."
        ),
    ] = Missing.KEEP,
    max_deactivations: MaxDeactivations = None,
    reason: Annotated[Reason | None, Query(description="Why; kept in the history.")] = None,
    idempotency_key: KeyHeader = None,
    prefer: PreferHeader = None,
) -> Response:
    """One row, one learner; a row applies whole or not at all.

    Columns: Username, External ID, Email, First Name, Last Name, Active (Yes or No), Expiration Date (or the
    word `never`), in any order, case and spacing. An empty cell, or a column that is not there, leaves that
    field as it is. Up to 5,000 rows are done at once; more are done in the background, chunk by chunk.

    With `missing=deactivate` or a limit, everything is decided and judged first, and then done: meanwhile the
    operation is `running` and its `progress.done` stays 0. Who is missing is found then, so `progress.total`
    grows once.
    """
    organization = principal.organization
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
            reason=reason,
        )

        async def submit(on_stored: OnStored) -> Operation:
            return await _submit(runner, upload, options, principal, now, on_stored)

        async def work(claim: Claim) -> Response:
            return await submit_and_wait(request, runner, claim, prefer, submit)

        return await run_once(
            request,
            organization_id=organization.id,
            key=idempotency_key,
            content_hash=upload.content_hash,
            work=work,
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
    except InvalidValue as error:  # the query has been checked: what is left is the upload's charset
        errors = [{"pointer": "header:Content-Type", "detail": str(error)}]
        raise Problem(INVALID_REQUEST, str(error), errors=errors) from None
