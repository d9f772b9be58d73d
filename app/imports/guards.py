"""The guards of an import: checks of its plan that stop it before it deactivates more learners than intended."""

from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncConnection

from app.imports.errors import GuardReason, GuessedEncoding, TooManyDeactivations, UnidentifiedRows
from app.learners import plan_repository
from app.learners import repository as learners
from app.learners.plan import Effect
from app.operations.operation import Operation
from app.operations.parameters import ImportParameters
from app.organizations.organization import Organization, count_allowed

GUESSED_ENCODING = "guessed-encoding"


class Missing(StrEnum):
    """What to do with learners that the file does not list."""

    KEEP = "keep"
    DEACTIVATE = "deactivate"


async def find_obstacle(
    connection: AsyncConnection,
    operation: Operation,
    parameters: ImportParameters,
    organization: Organization,
) -> GuardReason | None:
    """Return why the plan must not be applied, or None."""
    return (
        await judge_completeness(connection, operation, parameters)
        or await _judge_deactivations(connection, operation, parameters, organization)
        or await _judge_encoding(connection, operation)
    )


async def judge_completeness(
    connection: AsyncConnection, operation: Operation, parameters: ImportParameters
) -> UnidentifiedRows | None:
    """Return why no learner can be called missing from the file, or None if that is clear or does not matter."""
    if parameters.missing != Missing.DEACTIVATE:
        return None
    unidentified = await plan_repository.count_with(connection, operation.number, Effect.UNIDENTIFIED)
    return UnidentifiedRows(unidentified.first_line, unidentified.rows) if unidentified.first_line else None


async def _judge_deactivations(
    connection: AsyncConnection,
    operation: Operation,
    parameters: ImportParameters,
    organization: Organization,
) -> TooManyDeactivations | None:
    limit = parameters.max_deactivations
    if limit is None and parameters.missing == Missing.DEACTIVATE:
        limit = organization.max_deactivations
    if limit is None:
        return None
    planned = await plan_repository.count_with(connection, operation.number, Effect.DEACTIVATED)
    not_deactivated = await learners.count_not_deactivated(connection, organization.id)
    reason = TooManyDeactivations(
        planned.with_line,
        planned.rows - planned.with_line,
        count_allowed(limit, not_deactivated),
        limit,
        not_deactivated,
    )
    return reason if reason.total > reason.allowed else None


async def _judge_encoding(connection: AsyncConnection, operation: Operation) -> GuessedEncoding | None:
    """Return why a guess must be confirmed: it would change stored texts that have accents."""
    if not any(warning["code"] == GUESSED_ENCODING for warning in operation.warnings):
        return None
    changed = await plan_repository.count_non_ascii_changes(connection, operation.number)
    return GuessedEncoding(changed.rows, changed.first_line) if changed.first_line else None
