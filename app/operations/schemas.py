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
    """The learners to select: exactly one of ids, usernames and filter."""

    model_config = ConfigDict(extra="forbid")

    ids: Annotated[
        list[LearnerId] | None, Field(max_length=MAX_SELECTED, description="Up to 10,000 ids.")
    ] = None
    usernames: Annotated[
        list[UsernameText] | None,
        Field(
            max_length=MAX_SELECTED,
            description="Up to 10,000 usernames. Case, width and the number of spaces make no difference.",
        ),
    ] = None
    filter: Annotated[
        LearnerFilter | None, Field(description="The filter of `GET /learners`. `{}` selects all learners.")
    ] = None
    except_ids: Annotated[
        list[LearnerId],
        Field(max_length=MAX_SELECTED, description="Ids of learners to leave out, up to 10,000."),
    ] = []

    @model_validator(mode="after")
    def _has_exactly_one(self) -> Self:
        given = [name for name in ("ids", "usernames", "filter") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("Send exactly one of ids, usernames and filter.")
        return self


class BulkActionRequest(BaseModel):
    """An action, and the learners to apply it to."""

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
        # Larger JSON numbers are not exact.
        Annotated[int, Field(strict=True), Between(0, 2**53 - 1)] | None,
        Field(
            description="How many learners you expect to be selected, not counting those in `except_ids`. In a list of "
            "ids or usernames each one counts once, even if no learner has it. If the number differs, nothing is "
            "changed and the response is 409 `selection-changed`.",
        ),
    ] = None
    dry_run: Annotated[
        bool, Field(strict=True, description="Change nothing, but report what would happen.")
    ] = False
    reason: Reason | None = None


class RevertRequest(BaseModel):
    """How to revert an operation. The body is optional."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"dry_run": True, "reason": "wrong file"}]}
    )

    dry_run: Annotated[
        bool, Field(strict=True, description="Change nothing, but report what would happen.")
    ] = False
    reason: Reason | None = None


class Progress(BaseModel):
    """How many learners or rows are done, and how many there are."""

    done: Annotated[
        int,
        Field(
            description="How many are done. It never decreases. It stays 0 while all rows of an import with a guard "
            "are checked."
        ),
    ]
    total: Annotated[
        int,
        Field(
            description="How many there are. For an import: its rows, plus the missing learners once they have "
            "been found."
        ),
    ]


class OperationDocument(BaseModel):
    """Work on many learners: its kind, its progress, and the number of learners by outcome."""

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
                        {
                            "code": "ignored-column",
                            "detail": "Ignored columns: 'Department'. Rollcall does not know them.",
                        }
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
        dict[str, int], Field(description="Learners or rows by outcome. They add up to `progress.done`.")
    ]
    deactivated: Annotated[
        int,
        Field(
            description="How many learners the operation deactivated. In a dry run or a refused operation: how many it "
            "would deactivate."
        ),
    ]
    warnings: Annotated[
        list[dict[str, str]],
        Field(description="What to check in the file as a whole: `code` and `detail`."),
    ]
    problem: Annotated[dict[str, Any] | None, Field(description="Why the operation was refused or failed.")]
    reverts: Annotated[
        str | None, Field(description="The operation that this one reverts. Null if this is not a revert.")
    ]
    reverted_by: Annotated[
        str | None,
        Field(
            description="The operation that has reverted this one, or is reverting it. Null if there is none."
        ),
    ]
    created_by: Annotated[
        dict[str, Any], Field(description="Who started the operation: `kind`, `id` and `name`.")
    ]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class OutcomeDocument(BaseModel):
    """The outcome for one learner or row."""

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
                        "detail": "'Maybe' is not valid. Use Yes or No, or leave the cell empty to keep the status.",
                        "column": "Active",
                    },
                }
            ]
        },
    )

    line: Annotated[
        int | None,
        Field(description="The line of the file on which the row begins. Null for a learner without a row."),
    ]
    learner_id: str | None
    username: str | None
    outcome: OutcomeName
    deactivated: Annotated[
        bool,
        Field(description="Whether the operation deactivated the learner. In a dry run: whether it would."),
    ]
    problem: dict[str, Any] | None


OutcomeFilter = Annotated[
    list[Literal["created", "changed", "unchanged", "kept", "refused", "invalid", "not_found"]] | None,
    Field(
        max_length=len(OutcomeName),
        description="Only these outcomes. Can be repeated.",
        examples=[["refused"]],
    ),
]


def present(operation: Operation) -> dict[str, Any]:
    """Return the members of OperationDocument."""
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
    """Return the members of OutcomeDocument."""
    return {
        "line": outcome.line,
        "learner_id": outcome.learner_id,
        "username": outcome.username,
        "outcome": outcome.outcome,
        "deactivated": outcome.deactivated,
        "problem": outcome.problem,
    }
