"""`POST /imports/csv` and `POST /imports/json`."""

from dataclasses import replace
from functools import partial
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from app.domain.errors import InvalidValue
from app.imports.dependencies import (
    NDJSON_TYPES,
    FileName,
    ImportQuery,
    JsonImportQuery,
    Upload,
    not_csv,
    not_json,
    receive_json_upload,
    receive_upload,
)
from app.imports.problems import INCOMPLETE_FEED, UNREADABLE_CSV, UNREADABLE_JSON
from app.imports.service import ImportOptions, submit_csv_import, submit_json_import
from app.learners.fields import PROFILE
from app.operations.dependencies import ACCEPTED, CurrentSubmission, Submission
from app.operations.operation import Operation
from app.operations.schemas import OperationDocument
from app.operations.service import Asker
from app.organizations.dependencies import AuthenticatedRoute
from app.platform.idempotency import KEY_IN_PROGRESS, KEY_REUSED
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
    submission: CurrentSubmission,
    options: ImportQuery,
    _file_name: FileName = None,
) -> Response:
    """Import a roster. Each row is about one learner and applies completely or not at all.

    Columns: Username, External ID, Email, First Name, Last Name, Active (Yes or No), Expiration Date (a date, or the
    word `never`). Their order, case and spacing do not matter. A missing column leaves the field unchanged, and so
    does an empty cell unless you send `empty=clear`. Up to 5,000 rows are done within the request. More are done in
    the background, in chunks.

    All rows are planned and judged before any is applied. Meanwhile the operation is `running` and its `progress.done`
    stays 0. With `missing=deactivate`, `progress.total` grows when missing learners are found. The order of the rows
    does not matter: usernames and external ids may be handed on or swapped in one file.
    """
    async with receive_upload(request, submission.organization.id) as upload:
        options = replace(options, encoding=options.encoding or upload.charset)
        submit = partial(_submit, submission, upload, options)
        return await submission.answer(submit, upload.content_hash)


async def _submit(submission: Submission, upload: Upload, options: ImportOptions, asker: Asker) -> Operation:
    try:
        return await submit_csv_import(submission.runner, asker, upload.file, options, upload.file_name)
    except InvalidValue as error:  # the query was checked before, so it is the charset of the upload
        errors = [{"pointer": "header:Content-Type", "detail": str(error)}]
        raise Problem(INVALID_REQUEST, str(error), errors=errors) from None


_JSON_ROW: dict[str, Any] = {
    "type": "object",
    "properties": {
        **{
            field.name: {
                "type": ["string", "null"] if not field.is_required else "string",
                "maxLength": field.max_length,
                "description": field.description,
            }
            for field in PROFILE
        },
        "active": {"type": "boolean", "description": "true activates, false deactivates."},
        "expires_on": {
            "type": ["string", "null"],
            "format": "date",
            "description": "The last day of access. Null: the account never expires.",
        },
    },
    "additionalProperties": False,
}
_JSON_ROWS = [
    {"external_id": "HR-1003", "username": "a.okafor", "active": True, "expires_on": "2027-12-31"},
    {"external_id": "HR-1004", "active": False},
]
_JSON_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"learners": {"type": "array", "items": _JSON_ROW}},
                    "required": ["learners"],
                    "additionalProperties": False,
                },
                "example": {"learners": _JSON_ROWS},
            },
            "application/x-ndjson": {
                "schema": {"type": "string", "description": "One object on each line."},
                "example": "".join(f"{orjson.dumps(row).decode()}\n" for row in _JSON_ROWS),
            },
        },
    }
}


@router.post(
    "/json",
    summary="Import learners as JSON",
    response_model=OperationDocument,
    openapi_extra=_JSON_BODY,
    responses=ACCEPTED
    | answers(
        REQUEST_TIMEOUT,
        UNREADABLE_JSON,
        INCOMPLETE_FEED,
        not_json("text/csv"),
        KEY_IN_PROGRESS,
        KEY_REUSED,
    ),
)
async def import_json(
    request: Request,
    submission: CurrentSubmission,
    options: JsonImportQuery,
    _file_name: FileName = None,
) -> Response:
    """Import learners as a JSON document or as NDJSON, of any length. The rules are those of a CSV import.

    A missing member leaves the field unchanged, and null clears it (not the username). `line` in outcomes is the line
    of NDJSON, or the number of the element in `learners`, counted from 1.
    """
    async with receive_json_upload(request, submission.organization.id) as upload:
        submit = partial(
            submit_json_import,
            submission.runner,
            file=upload.file,
            options=options,
            file_name=upload.file_name,
            is_lines=upload.media_type in NDJSON_TYPES,
        )
        return await submission.answer(submit, upload.content_hash)
