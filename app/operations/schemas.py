"""Operations, selections and outcomes on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.learners.bulk_sql import Action
from app.learners.filters import LearnerFilter, LearnerId, UsernameText
from app.operations.operation import OUTCOMES, Kind, Operation, Outcome, OutcomeName, State
from app.platform.fields import Between, Reason

MAX_SELECTED = 10_000
_ID = "019a8c60-1b2c-7d3e-8f40-5a6b7c8d9e0f"


class Selection(BaseModel):
    """Which learners: exactly one of ids, usernames and filter."""

    model_config = ConfigDict(extra="forbid")

    ids: Annotated[
        list[LearnerId] | None, Field(max_length=MAX_SELECTED, description="Up to 10,000 ids.")
    ] = None
    usernames: Annotated[
        list[UsernameText] | None,
        Field(max_length=MAX_SELECTED, description="Up to 10,000 usernames, in any case."),
    ] = None
    filter: Annotated[
        LearnerFilter | None, Field(description="The filter of `GET /learners`; `{}` is everyone.")
    ] = None
    except_ids: Annotated[
        list[LearnerId], Field(max_length=MAX_SELECTED, description="Learners to leave out, up to 10,000.")
    ] = []

    @model_validator(mode="after")
    def _has_exactly_one(self) -> Self:
        given = [name for name in ("ids", "usernames", "filter") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("A selection has exactly one of ids, usernames and filter.")
        return self


class BulkActionRequest(BaseModel):
    """What to do, and with whom."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "action": "deactivate",
                    "selection": {"filter": {"status": ["active"], "q": "contractor"}},
                    "expected_count": 2340,
                    "dry_run": False,
                    "reason": "contract ended",
                }
            ]
        },
    )

    action: Action
    selection: Selection
    expected_count: Annotated[
        int | None,
        Field(
            strict=True,
            description="The number of learners that the person saw selected: matches less `except_ids`; in a list "
            "of ids or usernames each counts once, those of nobody too. "
            "Where another number is selected, nothing is done: 409 `selection-changed`.",
        ),
        Between(0, 2**53 - 1),  # larger JSON numbers are not exact
    ] = None
    dry_run: Annotated[
        bool, Field(strict=True, description="The same counts and outcomes; changes nothing.")
    ] = False
    reason: Reason | None = None


class RevertRequest(BaseModel):
    """How to revert an operation; may be left out."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"dry_run": True, "reason": "wrong file"}]}
    )

    dry_run: Annotated[
        bool, Field(strict=True, description="The same counts and outcomes; changes nothing.")
    ] = False
    reason: Reason | None = None


class Progress(BaseModel):
    """How many learners or rows are done, of how many."""

    done: Annotated[
        int,
        Field(description="Never falls; 0 while an import with a guard is decided and judged as a whole."),
    ]
    total: Annotated[
        int, Field(description="An import's rows, and the missing learners once it is known who they are.")
    ]


class OperationDocument(BaseModel):
    """Work over many learners: what it is, how far it is, and what became of them in numbers."""

    model_config = ConfigDict(
        title="Operation",
        json_schema_extra={
            "examples": [
                {
                    "id": _ID,
                    "kind": "csv-import",
                    "state": "succeeded",
                    "dry_run": False,
                    "action": None,
                    "reason": None,
                    "progress": {"done": 1000, "total": 1000},
                    "counts": {
                        "created": 12,
                        "changed": 80,
                        "unchanged": 900,
                        "refused": 3,
                        "invalid": 5,
                        "not_found": 0,
                    },
                    "deactivated": 7,
                    "warnings": [
                        {"code": "ignored-column", "detail": "The column 'Department' was ignored."}
                    ],
                    "problem": None,
                    "reverts": None,
                    "reverted_by": None,
                    "created_by": {
                        "kind": "api-key",
                        "id": "019a8c5e-0000-7000-8000-000000000001",
                        "name": "hr-feed",
                    },
                    "created_at": "2026-11-02T10:00:00Z",
                    "started_at": "2026-11-02T10:00:00.1Z",
                    "finished_at": "2026-11-02T10:00:00.4Z",
                }
            ]
        },
    )

    id: str
    kind: Kind
    state: State
    dry_run: bool
    action: Action | None
    reason: str | None
    progress: Progress
    counts: Annotated[
        dict[str, int], Field(description="Learners or rows by outcome; they add up to `progress.done`.")
    ]
    deactivated: Annotated[
        int,
        Field(
            description="How many of those who were changed lost access: by a row or action that deactivates, or for "
            "want of a row. In a dry run, and where it was refused, how many would."
        ),
    ]
    warnings: Annotated[
        list[dict[str, str]],
        Field(description="What a person must know of the whole import: `code` and `detail`."),
    ]
    problem: Annotated[dict[str, Any] | None, Field(description="Why it was refused or failed.")]
    reverts: Annotated[str | None, Field(description="The operation that this one, a revert, takes back.")]
    reverted_by: Annotated[str | None, Field(description="The operation that took, or takes, this one back.")]
    created_by: Annotated[dict[str, Any], Field(description="Who: `kind`, `id` and `name`.")]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class OutcomeDocument(BaseModel):
    """What became of one learner or row."""

    model_config = ConfigDict(
        title="Outcome",
        json_schema_extra={
            "examples": [
                {
                    "line": 17,
                    "learner_id": None,
                    "username": "b.lindqvist",
                    "outcome": "invalid",
                    "deactivated": False,
                    "problem": {
                        "type": "/problems/invalid-active",
                        "code": "invalid-active",
                        "title": "Active is neither Yes nor No",
                        "status": 422,
                        "detail": "Active is Yes or No, or empty to leave it as it is; 'Maybe' is neither.",
                        "column": "Active",
                    },
                }
            ]
        },
    )

    line: Annotated[
        int | None,
        Field(description="The line of the file on which the row begins; null for a learner without a row."),
    ]
    learner_id: str | None
    username: str | None
    outcome: OutcomeName
    deactivated: Annotated[bool, Field(description="Whether the learner lost access by it, or would.")]
    problem: dict[str, Any] | None


OutcomeFilter = Annotated[
    list[Literal["created", "changed", "unchanged", "kept", "refused", "invalid", "not_found"]] | None,
    Field(
        max_length=len(OutcomeName), description="Only these outcomes. Repeatable.", examples=[["refused"]]
    ),
]


def present(operation: Operation) -> dict[str, Any]:
    """The members of OperationDocument."""
    return {
        "id": operation.id,
        "kind": operation.kind,
        "state": operation.state,
        "dry_run": operation.dry_run,
        "action": operation.action,
        "reason": operation.reason,
        "progress": {"done": operation.done, "total": operation.total},
        "counts": {name: operation.counts.get(name, 0) for name in OUTCOMES[operation.kind]},
        "deactivated": operation.deactivated,
        "warnings": operation.warnings,
        "problem": operation.problem,
        "reverts": operation.reverts,
        "reverted_by": operation.reverted_by,
        "created_by": operation.created_by,
        "created_at": operation.created_at,
        "started_at": operation.started_at,
        "finished_at": operation.finished_at,
    }


def present_outcome(outcome: Outcome) -> dict[str, Any]:
    """The members of OutcomeDocument."""
    return {
        "line": outcome.line,
        "learner_id": outcome.learner_id,
        "username": outcome.username,
        "outcome": outcome.outcome,
        "deactivated": outcome.deactivated,
        "problem": outcome.problem,
    }
