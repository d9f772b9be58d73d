"""What commands print about operations."""

from collections.abc import Iterable, Mapping
from typing import Any

import typer

from app.cli.terminal import describe_instant, print_json, print_pairs
from app.cli.wording import describe_refusal, name_command
from app.learners.plan import Effect, OutcomeName, effect_name
from app.operations import outcomes
from app.operations.operation import (
    OUTCOMES,
    Kind,
    Operation,
    Outcome,
    State,
    WantedOutcomes,
)
from app.operations.schemas import EFFECTS, OperationDocument, OutcomeDocument, present, present_outcome
from app.organizations.organization import Organization
from app.platform.database import Database

NOT_APPLIED = WantedOutcomes(
    (OutcomeName.KEPT, OutcomeName.REFUSED, OutcomeName.INVALID, OutcomeName.NOT_FOUND)
)
OUTCOME_COLUMNS = ("line", "learner id", "username", "external id", "outcome", "changes", "problem")
_SHOWN_PROBLEMS = 20
_ITEMS = {Kind.CSV_IMPORT: "rows", Kind.JSON_IMPORT: "rows"}


def print_operations_json(found: Iterable[Operation]) -> None:
    """Print operations as the API shows them, one a line."""
    print_json(OperationDocument, map(present, found))


def print_outcomes_json(found: Iterable[Outcome]) -> None:
    """Print outcomes as the API shows them, one a line."""
    print_json(OutcomeDocument, map(present_outcome, found))


def describe_problem(outcome: Outcome) -> str:
    """Return why a learner or row was not changed, or an empty text."""
    return " ".join(str(problem["detail"]) for problem in outcome.problems)


def describe_changes(outcome: Outcome) -> str:
    """Return each fact that changed or would change, with its value before and after."""
    return ", ".join(
        f"{name}: {_describe_value(before)} -> {_describe_value(after)}"
        for name, (before, after) in outcome.changes.items()
    )


def _describe_value(value: Any) -> str:
    return "none" if value is None else str(value)


def outcome_cells(outcome: Outcome) -> tuple[str, ...]:
    """Return the cells of an outcome for a table with the columns OUTCOME_COLUMNS."""
    line = "" if outcome.line is None else str(outcome.line)
    learner = (outcome.learner_id or "", outcome.username or "", outcome.external_id or "")
    return (line, *learner, outcome.outcome.value, describe_changes(outcome), describe_problem(outcome))


def describe_counts(operation: Operation) -> str:
    """Return the outcomes with their numbers in one line, without those that did not occur."""
    counted = [(name, operation.counts.get(name, 0)) for name in OUTCOMES[operation.kind]]
    return ", ".join(f"{number:,} {name}" for name, number in counted if number)


def describe_effects(operation: Operation) -> str:
    """Return how many learners were deactivated, renamed …, or would be, in one line, without those with none."""
    counted = [(effect_name(effect), name) for name, effect in EFFECTS.items()]
    numbers = [(operation.effects.get(key, 0), name.replace("_", " ")) for key, name in counted]
    return ", ".join(f"{number:,} {name}" for number, name in numbers if number)


def describe_request(operation: Operation) -> str:
    """Return what was asked in one line: the file and the options, or the selection and the new date."""
    asked = dict(operation.request)
    parts = [str(asked["file_name"])] if asked.get("file_name") else []
    parts += map(_describe_option, asked.get("options", {}).items())
    selection = dict(asked.get("selection", {}))
    if "filter" in selection:
        chosen = selection.pop("filter")
        parts += map(_describe_option, chosen.items()) if chosen else ["all learners"]
    for name, number in selection.items():
        noun = name.removesuffix("_count").replace("_", " ")
        parts.append(f"{noun.replace('except', 'all except')}: {number:,}")
    if "expires_on" in asked:
        parts.append(f"expires on: {asked['expires_on'] or 'never'}")
    return ", ".join(parts)


def _describe_option(option: tuple[str, Any]) -> str:
    name, value = option
    values = value if isinstance(value, list | tuple) else [value]
    return f"{name}: {' '.join(map(str, values))}"


def describe_kind(operation: Operation) -> str:
    """Return the kind, with the action, and whether it was a dry run."""
    kind = operation.kind.value if operation.action is None else f"{operation.kind.value}: {operation.action}"
    return f"{kind} (dry run)" if operation.dry_run else kind


def describe_actor(actor: Mapping[str, Any]) -> str:
    """Return who it was, by name and kind."""
    return f"{actor['name']} ({actor['kind']})"


def name_items(operation: Operation) -> str:
    """Return what an operation of this kind counts: rows or learners."""
    return _ITEMS.get(operation.kind, "learners")


def count_changed(operation: Operation) -> int:
    """Return how many learners the operation has created or changed. A dry run or a refused operation: none."""
    if operation.changes_nothing:
        return 0
    return operation.revertible


def count_not_applied(operation: Operation) -> int:
    """Return how many rows or learners were not changed although they should have been."""
    return sum(operation.counts.get(name, 0) for name in NOT_APPLIED.names)


def count_deactivated(operation: Operation) -> int:
    """Return how many learners lost access, or would."""
    return operation.effects.get(effect_name(Effect.DEACTIVATED), 0)


def is_complete(operation: Operation) -> bool:
    """Return whether the operation has ended and did all it should do."""
    return operation.state is State.SUCCEEDED and not count_not_applied(operation)


def print_counts(operation: Operation, *, to_stderr: bool = False) -> None:
    """Print the state of an operation and its outcomes with their numbers."""
    lines = [_describe_state(operation)]
    lines += (f"  {name.value:<10} {operation.counts.get(name, 0):>10,}" for name in OUTCOMES[operation.kind])
    typer.echo("\n".join(lines), err=to_stderr)


def _describe_state(operation: Operation) -> str:
    kind = "Dry run" if operation.dry_run else "Operation"
    return f"{kind} {operation.id}: {operation.state.value}"


def print_warnings(operation: Operation) -> None:
    """Print on stderr what to check in the file as a whole."""
    for warning in operation.warnings:
        typer.echo(f"warning: {warning['detail']}", err=True)


def print_lost_access(operation: Operation) -> None:
    """Print on stderr how many learners lost access, or would."""
    if deactivated := count_deactivated(operation):
        loses = "would lose" if operation.dry_run or operation.is_refused else "lost"
        typer.echo(f"{deactivated:,} of the changed learners {loses} access.", err=True)


async def print_problems(database: Database, operation: Operation, hint: str) -> None:
    """Print on stderr the first problems of single learners or rows. The hint says how to see all."""
    async with database.read() as connection:
        found = await outcomes.list_outcomes(connection, operation, NOT_APPLIED, limit=_SHOWN_PROBLEMS)
    for each in found:
        name = each.username or each.learner_id if each.line is None else f"line {each.line}"
        typer.echo(f"  {name}: {each.outcome.value}: {describe_problem(each)}", err=True)
    if (more := count_not_applied(operation) - _SHOWN_PROBLEMS) > 0:
        typer.echo(f"  … and {more:,} more. {hint}", err=True)


def print_end(operation: Operation, organization: Organization, *, was_stopped: bool) -> None:
    """Print on stderr why an operation did not succeed, and after a stop how to revert what it has changed."""
    if operation.problem is not None:
        typer.echo(describe_refusal(operation.problem), err=True)
    if operation.state is State.CANCELLED:
        typer.echo(describe_cancelled(operation), err=True)
    elif was_stopped and operation.is_finished:
        typer.echo("It ended before it could be cancelled.", err=True)
    if was_stopped or operation.state in (State.CANCELLED, State.FAILED):
        print_revert_hint(operation, organization)


def describe_cancelled(operation: Operation) -> str:
    """Return how far a cancelled operation was."""
    items = name_items(operation)
    if not operation.done:
        return f"Cancelled before the first of {operation.total:,} {items}. Nothing was changed."
    done = f"Cancelled after {operation.done:,} of {operation.total:,} {items}."
    return done if count_changed(operation) else f"{done} Nothing was changed."


def print_revert_hint(operation: Operation, organization: Organization) -> None:
    """Print on stderr how to revert what the operation has changed, if it has changed anything."""
    if changed := count_changed(operation):
        command = name_command("operations revert", operation.id, organization)
        typer.echo(f"To revert the {changed:,} changed learners, run: {command}", err=True)


def print_detached(operation: Operation, organization: Organization) -> None:
    """Print on stderr who carries out a stored operation, and how to follow it."""
    typer.echo(
        "The service carries it out now, or when it next starts. To follow it, run: "
        f"{name_command('operations show', operation.id, organization)}",
        err=True,
    )


def print_operation(operation: Operation) -> None:
    """Print what an operation does, who started it, and how far it is."""
    typer.echo(_describe_state(operation))
    described = {
        "kind": describe_kind(operation),
        "progress": f"{operation.done:,} of {operation.total:,} {name_items(operation)}",
        "request": describe_request(operation) or None,
        "outcomes": describe_counts(operation) or "none yet",
        "changes": describe_effects(operation) or None,
        "revertible": f"{operation.revertible:,}" if operation.is_finished else None,
        "reason": operation.reason,
        "reverts": operation.reverts,
        "reverted by": operation.reverted_by,
        "created by": describe_actor(operation.created_by),
        "created": describe_instant(operation.created_at),
        "started": describe_instant(operation.started_at),
        "finished": describe_instant(operation.finished_at),
    }
    print_pairs({name: value for name, value in described.items() if value is not None})
    for warning in operation.warnings:
        typer.echo(f"warning: {warning['detail']}")
    if operation.problem is not None:
        typer.echo(f"problem: {describe_refusal(operation.problem)}")
