"""Learners as CSV, in the columns of an import, so that what is exported imports back unchanged."""

import csv
import io
from collections.abc import Iterable
from datetime import date

from app.domain.status import Status, can_log_in, resolve_status
from app.learners.learner import Learner
from app.platform.csv_cells import guard_formula

HEADER = ("Username", "External ID", "Email", "First Name", "Last Name", "Active", "Expiration Date")


def header_line() -> str:
    """The first line."""
    return _lines([HEADER])


def learner_lines(learners: Iterable[Learner], today: date) -> str:
    """One line for each learner; Active is empty for the expired, which no import could activate."""
    return _lines(_cells(learner, today) for learner in learners)


def _cells(learner: Learner, today: date) -> tuple[str, ...]:
    status = resolve_status(learner.account, today)
    active = "" if status is Status.EXPIRED else "Yes" if can_log_in(status) else "No"
    expires_on = learner.account.expires_on
    texts = (learner.username, learner.external_id, learner.email, learner.first_name, learner.last_name)
    return (
        *(guard_formula(text) if text else "" for text in texts),
        active,
        "" if expires_on is None else expires_on.isoformat(),
    )


def _lines(rows: Iterable[Iterable[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerows(rows)
    return buffer.getvalue()
