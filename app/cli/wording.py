"""Sentences in the words of the command line: its options instead of the API's parameters."""

import shlex
from collections.abc import Mapping
from typing import Any

import typer
from pydantic import ValidationError

from app.domain.errors import Expired
from app.imports.errors import IncompleteFeed, NoRows, UnclearColumns, UnreadableCsv
from app.operations.errors import Obstacle, OperationNotRevertible
from app.organizations.organization import DEFAULT_SLUG, Organization
from app.platform.wording import sentence_for


def reword_invalid_value(error: typer.BadParameter) -> None:
    """Replace typer's message about the value of an option, if pydantic found what is wrong with it."""
    if isinstance(error.__cause__, ValidationError):
        error.message = describe_invalid_value(error.__cause__)


def describe_invalid_value(error: ValidationError) -> str:
    """Return what is wrong with the value of an option or a setting."""
    return sentence_for(error.errors()[0])


def describe_unreadable_file(error: UnreadableCsv) -> str:
    """Return why a file cannot be imported, and what to do."""
    if isinstance(error, NoRows):
        return (
            f"{error.detail} With --missing deactivate, every learner would be missing. Use the whole file."
        )
    if isinstance(error, IncompleteFeed):
        return f"{error.detail} Use the whole file, or --missing keep."
    if isinstance(error, UnclearColumns):
        options = " ".join(f"--ignore-columns {shlex.quote(name)}" for name in error.names)
        what = "this column" if len(error.names) == 1 else "these columns"
        return f"{error.detail} Or ignore {what}: use {options}"
    return error.detail


def describe_refusal(problem: Mapping[str, Any]) -> str:
    """Return why an import was refused, and which option allows it, from its problem document."""
    if problem["code"] == "too-many-deactivations":
        limit = str(problem["max_deactivations"])
        share = f" ({limit})" if limit.endswith("%") else ""
        return (
            f"The import would deactivate {problem['deactivation_count']:,} learners. The limit is "
            f"{problem['allowed_count']:,}{share}. Nothing was changed. To apply it anyway, use "
            f"--max-deactivations {problem['deactivation_count']}."
        )
    if problem["code"] == "incomplete-feed":
        return (
            f"{_describe_unidentified_rows(problem['row_count'], problem['line'])} So Rollcall cannot tell which "
            "learners are missing. Nothing was changed. Correct the file, or use --missing keep."
        )
    return str(problem["detail"])


_OBSTACLES = {
    Obstacle.NOT_ENDED: "it has not ended yet. Wait until it ends, or cancel it with `rollcall operations cancel`.",
    Obstacle.DRY_RUN: "it was a dry run and changed nothing.",
    Obstacle.REFUSED: "it was refused and changed nothing.",
    Obstacle.CHANGED_NOTHING: "it changed no learner.",
    Obstacle.OUTCOMES_DELETED: "its outcomes have been deleted. The history of each learner remains.",
}


def describe_obstacle(error: OperationNotRevertible) -> str:
    """Return why an operation cannot be reverted."""
    if error.obstacle is Obstacle.ALREADY_REVERTED:
        why = f"the operation {error.reverted_by} has already reverted it. To apply its changes again, revert that one."
    else:
        why = _OBSTACLES[error.obstacle]
    return f"the operation cannot be reverted: {why}"


def describe_expired(name: str, reason: Expired) -> str:
    """Return why an expired learner cannot be activated, and what to do."""
    return (
        f"the account of {name} expired after {reason.expires_on.isoformat()}, so it cannot be activated. To restore "
        "it, import a row with a later Expiration Date, or with the word never. Its status is then "
        f"{reason.restores_to.value}."
    )


def name_command(command: str, argument: str, organization: Organization) -> str:
    """Return the command to run for this organization."""
    words = ["rollcall", command, argument]
    if organization.slug != DEFAULT_SLUG:
        words += ["--organization", organization.slug]
    return " ".join(filter(None, words))


def _describe_unidentified_rows(rows: int, first_line: int) -> str:
    if rows == 1:
        return f"Line {first_line} does not say which learner it is about."
    return f"{rows:,} rows do not say which learner they are about. The first is on line {first_line}."
