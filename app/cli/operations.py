"""`rollcall operations`: list, show, cancel and revert what changes many learners."""

from enum import StrEnum
from functools import reduce
from operator import or_
from typing import Annotated

import typer

from app.cli import operation_reports as reports
from app.cli.environment import get_organization, run
from app.cli.errors import Failure
from app.cli.options import (
    DetachOption,
    JsonOption,
    OrganizationOption,
    ReasonOption,
    check_as,
    show_examples,
)
from app.cli.terminal import describe_instant, print_table
from app.cli.wording import describe_obstacle, name_command
from app.cli.work import cancel, carry_out, create_runner, plan_revert
from app.learners.plan import Effect, OutcomeName, effect_name
from app.operations import outcomes as stored_outcomes
from app.operations import repository, service
from app.operations.errors import OperationNotCancellable, OperationNotFound, OperationNotRevertible
from app.operations.operation import Kind, Operation, State, Tidied, WantedOutcomes
from app.operations.schemas import RevertRequest
from app.organizations.organization import DEFAULT_SLUG, Organization
from app.platform.database import Database
from app.platform.fields import Between
from app.platform.logging import configure_logging
from app.platform.runtime import tune_interpreter

_PAGE = 1000


class Change(StrEnum):
    """What the outcomes of an operation can be filtered by, besides their names."""

    DEACTIVATED = effect_name(Effect.DEACTIVATED)
    ACTIVATED = effect_name(Effect.ACTIVATED)
    RENAMED = effect_name(Effect.RENAMED)
    REKEYED = effect_name(Effect.REKEYED)
    EXPIRATION = effect_name(Effect.EXPIRATION)


OperationId = Annotated[
    str, typer.Argument(metavar="ID", help="The operation's id, from `rollcall operations list`.")
]
Limit = Annotated[
    int,
    typer.Option(callback=check_as(Annotated[int, Between(1, 1000)]), help="The most operations to list."),
]

commands = typer.Typer(
    name="operations",
    help="List, show, cancel and revert operations: imports, bulk actions and reverts.",
    no_args_is_help=True,
)


@commands.command(
    "list",
    epilog=show_examples(
        "rollcall operations list --kind csv-import --limit 5",
        "rollcall operations list --state running --json",
    ),
)
def list_operations(
    organization: OrganizationOption = DEFAULT_SLUG,
    kind: Annotated[Kind | None, typer.Option(help="Only operations of this kind.")] = None,
    state: Annotated[State | None, typer.Option(help="Only operations in this state.")] = None,
    limit: Limit = 20,
    json: JsonOption = False,
) -> None:
    """List operations, newest first."""
    run(_list_operations, organization, kind, state, limit, is_json=json)


async def _list_operations(
    database: Database, slug: str, kind: Kind | None, state: State | None, limit: int, *, is_json: bool
) -> None:
    async with database.read() as connection:
        owner = await get_organization(connection, slug)
        found = await repository.list_operations(
            connection, owner.id, kind=kind, state=state, dry_run=None, after=None, limit=limit
        )
    if is_json:
        reports.print_operations_json(found)
        return
    print_table(
        ("id", "created", "kind", "request", "state", "done", "outcomes", "revertible", "created by"),
        list(map(_describe, found)),
    )


def _describe(operation: Operation) -> tuple[str, ...]:
    return (
        operation.id,
        describe_instant(operation.created_at) or "",
        reports.describe_kind(operation),
        reports.describe_request(operation),
        operation.state.value,
        f"{operation.done:,} of {operation.total:,}",
        reports.describe_counts(operation),
        f"{operation.revertible:,}",
        reports.describe_actor(operation.created_by),
    )


@commands.command(
    "show",
    epilog=show_examples(
        "rollcall operations show 019a8c60-1b2c-7d3e-8f40-5a6b7c8d9e0f",
        "rollcall operations show 019a8c60-1b2c-7d3e-8f40-5a6b7c8d9e0f --outcome refused --outcome invalid",
        "rollcall operations show 019a8c60-1b2c-7d3e-8f40-5a6b7c8d9e0f --changes renamed",
    ),
)
def show_operation(
    operation_id: OperationId,
    organization: OrganizationOption = DEFAULT_SLUG,
    outcomes: Annotated[
        bool, typer.Option("--outcomes", help="Print the outcome for each learner or row instead.")
    ] = False,
    outcome: Annotated[
        list[OutcomeName] | None,
        typer.Option(
            metavar="OUTCOME",
            help="Only these outcomes: created, changed, unchanged, kept, refused, invalid or not_found. Repeatable.",
        ),
    ] = None,
    changes: Annotated[
        list[Change] | None,
        typer.Option(
            metavar="CHANGE",
            help="Only outcomes with this change: deactivated, activated, renamed, rekeyed or expiration. Repeatable.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show one operation: what was asked, its state, its counts, its warnings, and why it was refused.

    The outcomes show what changed, with the values before and after. In a
    dry run they show what would change.
    """
    if outcomes or outcome or changes:
        effects = (Effect[each.name] for each in changes or ())
        wanted = WantedOutcomes(sorted(set(outcome or ())), reduce(or_, effects, Effect(0)))
        run(_show_outcomes, organization, operation_id, wanted, is_json=json)
    else:
        run(_show_operation, organization, operation_id, is_json=json)


async def _show_operation(database: Database, slug: str, operation_id: str, *, is_json: bool) -> None:
    _, operation = await _get(database, slug, operation_id)
    if is_json:
        reports.print_operations_json([operation])
    else:
        reports.print_operation(operation)


async def _show_outcomes(
    database: Database, slug: str, operation_id: str, wanted: WantedOutcomes, *, is_json: bool
) -> None:
    _, operation = await _get(database, slug, operation_id)
    if operation.tidied >= Tidied.OUTCOMES_EXPIRED:
        raise Failure("the outcomes of this operation have been deleted. Its counts remain.")
    first_item: int | None = 0
    while first_item is not None:
        async with database.read() as connection:
            found = await stored_outcomes.list_outcomes(
                connection, operation, wanted, first_item=first_item, limit=_PAGE
            )
        if is_json:
            reports.print_outcomes_json(found)
        elif found or not first_item:
            print_table(
                reports.OUTCOME_COLUMNS, list(map(reports.outcome_cells, found)), is_first=not first_item
            )
        first_item = found[-1].item + 1 if len(found) == _PAGE else None


@commands.command(
    "cancel", epilog=show_examples("rollcall operations cancel 019a8c60-1b2c-7d3e-8f40-5a6b7c8d9e0f")
)
def cancel_operation(
    operation_id: OperationId,
    organization: OrganizationOption = DEFAULT_SLUG,
    json: JsonOption = False,
) -> None:
    """Stop an operation. Changes that it has made remain. Safe to repeat.

    The command waits for the learners or rows that are in progress.
    """
    configure_logging("console", "error")
    run(_cancel, organization, operation_id, is_json=json)


async def _cancel(database: Database, slug: str, operation_id: str, *, is_json: bool) -> None:
    owner, operation = await _get(database, slug, operation_id)
    try:
        operation = await cancel(create_runner(database), operation)
    except OperationNotCancellable as error:
        command = name_command("operations revert", operation.id, owner)
        raise Failure(
            f"the operation has already ended ({error.state}), so it cannot be cancelled. To revert what it has "
            f"changed, run: {command}"
        ) from None
    if is_json:
        reports.print_operations_json([operation])
    else:
        reports.print_counts(operation)
    reports.print_end(operation, owner, was_stopped=False)


@commands.command(
    "revert",
    epilog=show_examples(
        "rollcall operations revert 019a8c60-1b2c-7d3e-8f40-5a6b7c8d9e0f --dry-run",
        'rollcall operations revert 019a8c60-1b2c-7d3e-8f40-5a6b7c8d9e0f --reason "wrong file"',
    ),
)
def revert_operation(
    operation_id: OperationId,
    organization: OrganizationOption = DEFAULT_SLUG,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would happen. Change nothing.")
    ] = False,
    reason: ReasonOption = None,
    detach: DetachOption = False,
    json: JsonOption = False,
) -> None:
    """Restore the earlier values of the learners that an operation changed.

    Learners who were changed again since then are kept. Learners that an
    import created are deactivated, never deleted. A revert is itself an
    operation and can be reverted.

    Ctrl-C cancels the revert. The learners in progress are completed, and the
    command says how many are done. A second Ctrl-C ends the command at once.
    The service then completes the revert.

    Exit status: 0 if everything was reverted, 1 if any learner was kept or
    the operation cannot be reverted, 2 for a usage error, 130 after Ctrl-C,
    143 after SIGTERM.
    """
    configure_logging("console", "error")
    tune_interpreter()
    run(
        _revert,
        organization,
        operation_id,
        RevertRequest(dry_run=dry_run, reason=reason),
        is_detached=detach,
        is_json=json,
    )


async def _revert(
    database: Database,
    slug: str,
    operation_id: str,
    wanted: RevertRequest,
    *,
    is_detached: bool,
    is_json: bool,
) -> None:
    owner, original = await _get(database, slug, operation_id)
    runner = create_runner(database)
    try:
        ended = await carry_out(
            runner, plan_revert(runner, owner, original.id, wanted, is_detached=is_detached)
        )
    except OperationNotRevertible as error:
        raise Failure(describe_obstacle(error)) from None
    operation = ended.operation
    if is_json:
        reports.print_operations_json([operation])
    else:
        reports.print_counts(operation)
    if not operation.is_finished:
        reports.print_detached(operation, owner)
        return
    reports.print_lost_access(operation)
    reports.print_end(operation, owner, was_stopped=ended.exit_status is not None)
    if reports.count_not_applied(operation):
        show = name_command("operations show", f"{operation.id} --outcome kept", owner)
        await reports.print_problems(database, operation, f"To list all of them, run: {show}")
    if ended.exit_status or not reports.is_complete(operation):
        raise typer.Exit(ended.exit_status or 1)


async def _get(database: Database, slug: str, operation_id: str) -> tuple[Organization, Operation]:
    async with database.read() as connection:
        owner = await get_organization(connection, slug)
    try:
        return owner, await service.get_operation(database, owner.id, operation_id)
    except OperationNotFound:
        raise Failure(
            f"the organization {slug} has no operation with the id {operation_id}. List its operations with "
            "`rollcall operations list`."
        ) from None
