"""The description of a learner's fields, and everything that must agree with it."""

from datetime import UTC, datetime
from typing import Any

import pytest

import app.imports.problems  # noqa: F401 - defines the problems of rows
from app.domain.status import Account
from app.learners.export import HEADER
from app.learners.fields import (
    ACCOUNT,
    COLUMNS,
    EVENT_FACTS,
    PROFILE,
    PROFILE_NAMES,
    ROSTER_COLUMNS,
    ProfileField,
)
from app.learners.learner import Learner, creation_of, event_documents, search_text
from app.learners.recording import STORED_COLUMNS, make_row
from app.learners.schemas import LearnerDocument, LearnerPatch, NewLearner
from app.learners.tables import learners
from app.platform.problems import CATALOGUE
from tests.support.accounts import NOW, TODAY

EXAMPLES: dict[str, Any] = {field.name: field.example for field in PROFILE}
FULL = Learner(
    "019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11",
    account=Account(NOW, NOW, TODAY, NOW),
    updated_at=datetime(2025, 1, 1, tzinfo=UTC),
    last_accessed_at=NOW,
    **EXAMPLES,
)


def test_learner_has_exactly_the_described_fields() -> None:
    own = {"id", "account", "updated_at", "version", "last_accessed_at"}

    assert set(Learner._fields) == own | set(PROFILE_NAMES)
    assert set(Account._fields) == {fact.name for fact in ACCOUNT}


def test_optional_fields_of_a_learner_default_to_none() -> None:
    optional = {field.name for field in PROFILE if not field.is_required}

    assert {name for name in PROFILE_NAMES if name in Learner._field_defaults} == optional
    assert all(Learner._field_defaults[name] is None for name in optional)


def test_table_has_exactly_the_described_columns() -> None:
    written = {column.name for column in learners.columns if column.computed is None}

    assert written == {"organization_id", *COLUMNS}


def test_stored_row_holds_each_value_under_its_column() -> None:
    stored = dict(zip(STORED_COLUMNS, make_row(7, FULL), strict=True))

    assert stored["organization_id"] == 7
    assert {name: stored[name] for name in PROFILE_NAMES} == {field.name: field.example for field in PROFILE}
    assert (stored["expires_on"], stored["deactivated_at"]) == (TODAY, NOW)
    assert (stored["username_key"], stored["last_name_key"]) == ("a.okafor", "okafor")


def test_event_of_a_full_learner_tells_every_fact() -> None:
    _, after = event_documents(creation_of(FULL), TODAY)

    assert list(after) == [*EVENT_FACTS, "status"]


@pytest.mark.parametrize("field", PROFILE, ids=PROFILE_NAMES)
def test_example_is_accepted_unchanged(field: ProfileField) -> None:
    assert field.clean(field.example) == field.example


@pytest.mark.parametrize("column", ROSTER_COLUMNS, ids=HEADER)
def test_problem_of_a_column_is_defined(column: Any) -> None:
    assert CATALOGUE[column.problem].explanation.endswith("The row was not applied.")


def test_json_members_follow_the_description() -> None:
    assert list(NewLearner.model_fields) == [*PROFILE_NAMES, "expires_on", "status"]
    assert list(LearnerPatch.model_fields) == [*PROFILE_NAMES, "expires_on", "status"]
    assert list(LearnerDocument.model_fields)[: len(PROFILE) + 1] == ["id", *PROFILE_NAMES]


def test_export_header_has_the_titles_of_a_roster() -> None:
    assert HEADER == (
        "Username",
        "External ID",
        "Email",
        "First Name",
        "Last Name",
        "Active",
        "Expiration Date",
    )


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({}, "adaeze okafor\x1fa.okafor\x1fa.okafor@example.org"),
        ({"first_name": None}, "okafor\x1fa.okafor\x1fa.okafor@example.org"),
        ({"first_name": None, "last_name": None, "email": None}, "\x1fa.okafor\x1f"),
    ],
)
def test_search_text_begins_with_the_name_and_ends_with_the_email(members: Any, text: str) -> None:
    assert search_text(FULL._replace(**members)) == text
