"""Sentences in the words of the command line: its options instead of the API's parameters."""

import re
from collections.abc import Mapping
from typing import Any

import typer
from pydantic import ValidationError

from app.platform.wording import sentence_for

# Parameters of the API that an import also has as options.
_PARAMETER = re.compile(r"\b(missing|max_deactivations|date_format|delimiter|encoding)=([^\s.,;]+)")
_FLAG = re.compile(r"\b(dry_run|protect_manual)=true\b")


def reword_invalid_value(error: typer.BadParameter) -> None:
    """Replace typer's message about the value of an option, if pydantic found what is wrong with it."""
    if isinstance(error.__cause__, ValidationError):
        error.message = describe_invalid_value(error.__cause__)


def describe_invalid_value(error: ValidationError) -> str:
    """Return what is wrong with the value of an option or a setting."""
    return sentence_for(error.errors()[0])


def describe_refusal(problem: Mapping[str, Any]) -> str:
    """Return why an import was refused, and which options allow it, from its problem document."""
    if problem["code"] == "too-many-deactivations":
        return (
            f"The import would deactivate {problem['deactivation_count']:,} learners. "
            f"Its limit of {problem['max_deactivations']} allows {problem['allowed_count']:,}. Nothing was changed. "
            f"If this is intended, use --max-deactivations {problem['deactivation_count']}."
        )
    if problem["code"] == "incomplete-feed" and problem.get("row_count") is not None:
        return (
            f"Learners missing from the file cannot be found, because {_count_rows(problem['row_count'])} without "
            f"a valid Username or External ID (first: line {problem['line']}). Nothing was changed. "
            "Correct the file, or use --missing keep."
        )
    return reword_options(str(problem["detail"]))


def _count_rows(rows: int) -> str:
    return "1 row is" if rows == 1 else f"{rows:,} rows are"


def reword_options(text: str) -> str:
    """Return the text with the API's parameters replaced by the options of the command line."""
    text = _PARAMETER.sub(lambda found: f"--{_name_option(found[1])} {found[2]}", text)
    return _FLAG.sub(lambda found: f"--{_name_option(found[1])}", text)


def _name_option(parameter: str) -> str:
    return parameter.replace("_", "-")
