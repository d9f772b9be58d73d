"""`POST /imports/csv`."""

from dataclasses import replace
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response

from app.domain.errors import InvalidValue
from app.imports.dependencies import ImportQuery, Upload, not_csv, receive_upload
from app.imports.problems import INCOMPLETE_FEED, UNREADABLE_CSV
from app.imports.service import ImportOptions, submit_import
from app.operations.dependencies import ACCEPTED, CurrentRunner, PreferHeader, submit_and_wait
from app.operations.operation import Operation
from app.operations.schemas import OperationDocument
from app.operations.service import OnStored
from app.organizations.dependencies import AuthenticatedRoute, BulkWriter
from app.organizations.principal import Principal
from app.platform.dependencies import Now
from app.platform.idempotency import KEY_IN_PROGRESS, KEY_REUSED, KeyHeader, run_once
from app.platform.openapi import answers
from app.platform.problems import INVALID_REQUEST, REQUEST_TIMEOUT, Problem

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
    | answers(
        REQUEST_TIMEOUT,
        UNREADABLE_CSV,
        INCOMPLETE_FEED,
        not_csv("application/json"),
        KEY_IN_PROGRESS,
        KEY_REUSED,
    ),
)
async def import_csv(
    request: Request,
    principal: BulkWriter,
    runner: CurrentRunner,
    now: Now,
    options: ImportQuery,
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
    async with receive_upload(request, principal.organization.id) as upload:
        options = replace(options, encoding=options.encoding or upload.charset)
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
