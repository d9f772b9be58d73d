"""What operations were asked to do, as it is stored, and as earlier versions have stored it."""

from typing import Any

import pytest

from app.operations.operation import Kind, Rehearsal, read_parameters
from app.operations.parameters import BulkActionParameters, CsvImportParameters, Parameters, RevertParameters

IMPORT = CsvImportParameters(
    header=("Username", "Active"),
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
)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (Kind.BULK_ACTION, BulkActionParameters()),
        (Kind.BULK_ACTION, BulkActionParameters({"status": ["active"], "q": "contractor"})),
        (Kind.CSV_IMPORT, IMPORT),
        (Kind.REVERT, RevertParameters()),
    ],
)
def test_stored_parameters_are_read_back(kind: Kind, parameters: Parameters) -> None:
    assert read_parameters(kind, parameters.to_document()) == parameters


@pytest.mark.parametrize(
    ("kind", "document", "parameters"),
    [
        (Kind.BULK_ACTION, {}, BulkActionParameters()),
        (Kind.BULK_ACTION, {"selection": {"filter": {}}, "later": 1}, BulkActionParameters({})),
        (
            Kind.CSV_IMPORT,
            {"header": ["Username"], "columns": {"username": 0}, "delimiter": ",", "later": True},
            CsvImportParameters(("Username",), {"username": 0}),
        ),
        (
            Kind.CSV_IMPORT,
            {"header": ["Username"], "columns": {"username": 0}, "missing": "deactivate", "created_by": 7},
            CsvImportParameters(("Username",), {"username": 0}, missing="deactivate", created_until=7),
        ),
        (Kind.REVERT, {"later": 1}, RevertParameters()),
    ],
)
def test_parameters_of_other_versions_are_read_with_defaults(
    kind: Kind, document: dict[str, Any], parameters: Parameters
) -> None:
    assert read_parameters(kind, document) == parameters


def test_rehearsals_add_up_and_keep_the_first_line() -> None:
    first = Rehearsal(deactivated_by_row=2)
    second = Rehearsal(deactivated_by_row=1, unidentified_rows=2, first_unidentified_line=7)
    third = Rehearsal(missing=3, unidentified_rows=1, first_unidentified_line=9)

    added = first + second + third

    assert added == Rehearsal(3, 3, 3, 7)
    assert Rehearsal.from_document(added.to_document()) == added
    assert Rehearsal.from_document({}) == Rehearsal()
