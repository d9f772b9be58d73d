"""Operations, selections and outcomes on the wire."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from app.learners.filters import ExternalIdText, LearnerFilter, LearnerId, UsernameText
from app.learners.plan import COUNTED_EFFECTS, Effect, OutcomeName, effect_name
from app.operations.operation import OUTCOMES, Kind, Operation, Outcome, State
from app.platform.fields import Between, Day, Reason

MAX_SELECTED = 10_000
_ID = "019a8c60-1b2c-7d3e-8f40-5a6b7c8d9e0f"


class Action(StrEnum):
    """What a bulk action does to each learner."""

    ACTIVATE = "activate"
    DEACTIVATE = "deactivate"
    SET_EXPIRATION = "set-expiration"


_SELECTIONS = ("ids", "usernames", "external_ids", "filter")


# The counts of an operation besides those of outcomes.
EFFECTS: Mapping[str, Effect] = {
    "deactivated": Effect.DEACTIVATED,
    "activated": Effect.ACTIVATED,
    "renamed": Effect.RENAMED,
    "rekeyed": Effect.REKEYED,
    "expiration_changed": Effect.EXPIRATION,
}
_IN_A_DRY_RUN = "In a dry run or a refused operation: how many would be."


class Selection(BaseModel):
    """The learners to select: exactly one of ids, usernames, external_ids and filter."""

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
    external_ids: Annotated[
        list[ExternalIdText] | None,
        Field(max_length=MAX_SELECTED, description="Up to 10,000 external ids, compared exactly."),
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
        given = [name for name in _SELECTIONS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("Send exactly one of ids, usernames, external_ids and filter.")
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
    expires_on: Annotated[
        Day | None,
        Field(
            description="With `set-expiration`, which needs it: the last day of access, or null for accounts that "
            "never "
            "expire. A day in the future restores expired accounts."
        ),
    ] = None
    dry_run: Annotated[
        bool, Field(strict=True, description="Change nothing, but report what would happen.")
    ] = False
    reason: Reason | None = None

    @model_validator(mode="after")
    def _has_date_if_needed(self) -> Self:
        is_given = "expires_on" in self.model_fields_set
        if is_given == (self.action is Action.SET_EXPIRATION):
            return self
        error = (
            PydanticCustomError("unwanted", "Send expires_on only with the action set-expiration.")
            if is_given
            else PydanticCustomError(
                "missing",
                "The action set-expiration needs expires_on: a date, or null for accounts that never expire.",
            )
        )
        fault = InitErrorDetails(type=error, loc=("expires_on",), input=self.expires_on)
        # So the problem points to the field, and not to the whole body.
        raise ValidationError.from_exception_data(type(self).__name__, [fault])


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
                    "request": {"file_name": "roster.csv", "options": {"create": True, "missing": "keep"}},
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
                    "activated": 2,
                    "renamed": 1,
                    "rekeyed": 0,
                    "expiration_changed": 9,
                    "warnings": [
                        {
                            "code": "ignored-column",
                            "detail": "Ignored columns: 'Department'. Rollcall does not know them.",
                        }
                    ],
                    "problem": None,
                    "reverts": None,
                    "reverted_by": None,
                    "revertible": 92,
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
    request: Annotated[
        dict[str, Any],
        Field(
            description="What was asked. For a bulk action: `selection` (the filter, or how many ids or names were "
            "listed), "
            "and `expires_on` if it sets one. For an import: `file_name` and `options`."
        ),
    ]
    progress: Progress
    counts: Annotated[
        dict[str, int], Field(description="Learners or rows by outcome. They add up to `progress.done`.")
    ]
    deactivated: Annotated[int, Field(description=f"How many learners lost access. {_IN_A_DRY_RUN}")]
    activated: Annotated[
        int, Field(description=f"How many deactivated learners were activated. {_IN_A_DRY_RUN}")
    ]
    renamed: Annotated[int, Field(description=f"How many usernames changed. {_IN_A_DRY_RUN}")]
    rekeyed: Annotated[
        int, Field(description=f"How many external ids were replaced or cleared. {_IN_A_DRY_RUN}")
    ]
    expiration_changed: Annotated[
        int, Field(description=f"How many expiration dates changed. {_IN_A_DRY_RUN}")
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
            description="The last operation that has reverted this one, or is reverting it. Null if there is none."
        ),
    ]
    revertible: Annotated[
        int,
        Field(
            description="How many of its changes could still be undone by `POST /operations/{id}/revert`. After a "
            "revert: "
            "how many it kept, wholly or in part. 0 once the outcomes have been deleted."
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
                    "external_id": None,
                    "outcome": "invalid",
                    "changes": {},
                    "problems": [
                        {
                            "type": "/problems/invalid-active",
                            "code": "invalid-active",
                            "title": "Active is neither Yes nor No",
                            "status": 422,
                            "detail": "'Maybe' is not valid. Use Yes or No, or leave the cell empty to keep the "
                            "status.",
                            "column": "Active",
                        }
                    ],
                },
                {
                    "line": 18,
                    "learner_id": "019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11",
                    "username": "a.okafor",
                    "external_id": "HR-1003",
                    "outcome": "changed",
                    "changes": {"expires_on": ["2026-12-01", None]},
                    "problems": [],
                },
            ]
        },
    )

    line: Annotated[
        int | None,
        Field(description="The line of the file on which the row begins. Null for a learner without a row."),
    ]
    learner_id: Annotated[
        str | None, Field(description="Null for an unknown learner, and for one that a dry run would create.")
    ]
    username: str | None
    external_id: str | None
    outcome: OutcomeName
    changes: Annotated[
        dict[str, tuple[Any, Any]],
        Field(
            description="The facts that changed, each with its value before and after. In a dry run and a refused "
            "operation: those that would change."
        ),
    ]
    problems: Annotated[
        list[dict[str, Any]],
        Field(description="Why the learner or row was not changed: all problems of an invalid row."),
    ]


OutcomeFilter = Annotated[
    list[Literal["created", "changed", "unchanged", "kept", "refused", "invalid", "not_found"]] | None,
    Field(
        max_length=len(OutcomeName),
        description="Only these outcomes. Can be repeated.",
        examples=[["refused"]],
    ),
]


ChangesFilter = Annotated[
    list[Literal["deactivated", "activated", "renamed", "rekeyed", "expiration"]] | None,
    Field(
        max_length=len(COUNTED_EFFECTS),
        description="Only outcomes with one of these changes. In a dry run: those that would have it. Can be repeated.",
        examples=[["deactivated"]],
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
        "request": operation.request,
        "progress": {"done": operation.done, "total": operation.total},
        "counts": {name: operation.counts.get(name, 0) for name in OUTCOMES[operation.kind]},
        **{name: operation.effects.get(effect_name(each), 0) for name, each in EFFECTS.items()},
        "warnings": operation.warnings,
        "problem": operation.problem,
        "reverts": operation.reverts,
        "reverted_by": operation.reverted_by,
        "revertible": 0 if operation.has_expired_outcomes else operation.revertible,
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
        "external_id": outcome.external_id,
        "outcome": outcome.outcome,
        "changes": outcome.changes,
        "problems": outcome.problems,
    }
