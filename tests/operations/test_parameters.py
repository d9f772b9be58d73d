"""What operations were asked to do, as it is stored, and as earlier versions have stored it."""

from datetime import date
from typing import Any

import orjson
import pytest

from app.operations.operation import Kind, read_parameters
from app.operations.parameters import (
    BulkActionParameters,
    CsvImportParameters,
    JsonImportParameters,
    Parameters,
    RevertParameters,
)

IMPORT = CsvImportParameters(
    header=["Username", "Active"],
    columns={"username": 0, "active": 1},
    delimiter=";",
    encoding="cp1252",
    has_mark=True,
    date_format="dmy",
    create=False,
    protect_manual=True,
    missing="deactivate",
    max_deactivations="5%",
    created_until=42,
    rekey=True,
    empty="clear",
    has_whole_ids=True,
)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (Kind.BULK_ACTION, BulkActionParameters()),
        (Kind.BULK_ACTION, BulkActionParameters(date(2026, 12, 31))),
        (Kind.CSV_IMPORT, IMPORT),
        (Kind.JSON_IMPORT, JsonImportParameters(missing="deactivate", max_deactivations="5%", rekey=True)),
        (Kind.REVERT, RevertParameters()),
    ],
)
def test_stored_parameters_are_read_back(kind: Kind, parameters: Parameters) -> None:
    document = orjson.loads(orjson.dumps(parameters.to_document()))
    assert read_parameters(kind, document) == parameters


@pytest.mark.parametrize(
    ("kind", "document", "parameters"),
    [
        (Kind.BULK_ACTION, {}, BulkActionParameters()),
        (Kind.BULK_ACTION, {"selection": {"filter": {}}, "later": 1}, BulkActionParameters()),
        (
            Kind.CSV_IMPORT,
            {"header": ["Username"], "columns": {"username": 0}, "delimiter": ",", "later": True},
            CsvImportParameters(header=["Username"], columns={"username": 0}),
        ),
        (
            Kind.CSV_IMPORT,
            {"header": ["Username"], "columns": {"username": 0}, "missing": "deactivate", "created_until": 7},
            CsvImportParameters(
                header=["Username"], columns={"username": 0}, missing="deactivate", created_until=7
            ),
        ),
        (Kind.JSON_IMPORT, {}, JsonImportParameters()),
        (Kind.REVERT, {"later": 1}, RevertParameters()),
    ],
)
def test_parameters_of_other_versions_are_read_with_defaults(
    kind: Kind, document: dict[str, Any], parameters: Parameters
) -> None:
    assert read_parameters(kind, document) == parameters
