"""One row and one learner, by the CSV part of the rules: key and change, dates before Active, duplicates."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from app.domain.errors import Expired
from app.domain.events import EventType
from app.domain.status import Account, Status, has_expired, resolve_status
from app.imports.decide import Decision, Roll, name_keys
from app.imports.errors import (
    DeactivatedByHand,
    DuplicateRow,
    ExpiredRow,
    IdentityConflict,
    InvalidCell,
    MissingKey,
    MissingUsername,
    ReportedDuplicate,
    UnknownLearner,
    WrongNumberOfCells,
)
from app.imports.problems import describe_row
from app.imports.rows import InvalidRow
from app.learners.learner import Cause, Change, Learner
from app.learners.unique_keys import split_where_keys_move
from app.learners.wish import Wish
from app.platform.ids import new_id
from tests.support.accounts import (
    ACCOUNTS,
    DATES,
    DEACTIVATED_AT,
    FACTS,
    NOW,
    TODAY,
    TOMORROW,
    YESTERDAY,
    cells,
)
from tests.support.wishes import wish

CAUSE = Cause({"kind": "api-key", "id": None, "name": "hr-feed"}, NOW, TODAY)
EARLIER = datetime(2025, 1, 1, tzinfo=UTC)


def learner(
    username: str, external_id: str | None = None, account: Account = FACTS["new"], **members: Any
) -> Learner:
    return Learner(new_id(EARLIER), username, account, EARLIER, version=3, external_id=external_id, **members)


def row(username: str | None = None, external_id: str | None = None, **members: Any) -> Any:
    return wish(username=username, external_id=external_id, **members)


def roll(
    *learners: Any, creates: bool = True, is_dry_run: bool = False, protected: Any = (), **lines: Any
) -> Any:
    return Roll(list(learners), CAUSE, creates, is_dry_run, frozenset(protected), **lines)


def decide(rows: Any, *learners: Any, **options: Any) -> list[Any]:
    """The decisions on these rows, which stand on line 2 and on."""
    decided = roll(*learners, **options)
    return [decided.decide(line, each) for line, each in enumerate(rows, start=2)]


def decide_one(wanted: Any, *learners: Any, **options: Any) -> Any:
    (decision,) = decide([wanted], *learners, **options)
    return decision


def codes(decisions: Iterable[Decision]) -> list[Any]:
    return [describe_row(each.reason)["code"] if each.reason else each.outcome.value for each in decisions]


# Who is meant


def test_a_username_finds_its_learner_in_any_case() -> None:
    known = learner("A.Straße", "HR-1")

    decision = decide_one(row("a.STRASSE", last_name="Okafor"), known)

    assert (decision.outcome, decision.learner_id) == ("changed", known.id)
    assert decision.change.after.last_name == "Okafor"
    assert decision.change.after.username == "a.STRASSE"


def test_an_external_id_finds_its_learner_only_exactly() -> None:
    known = learner("a", "HR-1")

    assert decide_one(row(None, "HR-1"), known).outcome == "unchanged"
    assert codes([decide_one(row(None, "hr-1"), known)]) == ["missing-username"]


def test_a_known_external_id_wins_as_the_key_and_the_username_renames() -> None:
    known = learner("a.okafor", "HR-1", email="a@example.org")

    decision = decide_one(row("ada.okafor", "HR-1"), known)

    assert (decision.outcome, decision.learner_id, decision.username) == ("changed", known.id, "ada.okafor")
    after = Learner(
        known.id, "ada.okafor", known.account, NOW, version=4, email="a@example.org", external_id="HR-1"
    )
    assert decision.change == Change(known, after, EventType.UPDATED)


def test_a_row_with_an_external_id_alone_reports_the_learners_username() -> None:
    assert decide_one(row(None, "HR-1"), learner("a", "HR-1")).username == "a"


@pytest.mark.parametrize("before", [None, "HR-0"])
def test_unknown_external_id_is_set_on_the_learner_with_the_username(
    before: str | None,
) -> None:
    known = learner("a", before)

    decision = decide_one(row("a", "HR-1"), known)

    assert (decision.outcome, decision.learner_id) == ("changed", known.id)
    assert decision.change.after.external_id == "HR-1"


def test_keys_of_two_learners_in_one_row_are_a_conflict_and_nothing_is_applied() -> None:
    one, two = learner("a", "HR-1"), learner("b", "HR-2")

    decision = decide_one(row("b", "HR-1", email="new@example.org"), one, two)

    assert (decision.outcome, decision.change, decision.learner_id) == ("invalid", None, None)
    assert decision.reason == IdentityConflict("HR-1", "b")


def test_learners_who_swap_usernames_are_two_conflicts() -> None:
    one, two = learner("a", "HR-1"), learner("b", "HR-2")

    assert codes(decide([row("b", "HR-1"), row("a", "HR-2")], one, two)) == ["identity-conflict"] * 2


def test_a_username_that_an_earlier_row_gave_up_is_free_for_a_later_one() -> None:
    one, two = learner("a", "HR-1"), learner("b", "HR-2")
    rows = [row("c", "HR-2"), row("b", "HR-1"), row("a")]

    decisions = decide(rows, one, two)

    assert codes(decisions) == ["changed", "changed", "created"]
    assert [each.change.after.username for each in decisions] == ["c", "b", "a"]


def test_a_username_that_only_a_later_row_gives_up_is_a_conflict() -> None:
    one, two = learner("a", "HR-1"), learner("b", "HR-2")

    assert codes(decide([row("b", "HR-1"), row("c", "HR-2")], one, two)) == ["identity-conflict", "changed"]


def test_a_username_that_an_earlier_row_took_is_no_longer_free() -> None:
    one, two = learner("a", "HR-1"), learner("b", "HR-2")

    assert codes(decide([row("c", "HR-1"), row("c", "HR-2")], one, two)) == ["changed", "identity-conflict"]


def test_an_external_id_that_an_earlier_row_gave_up_is_free_for_a_later_one() -> None:
    one, two = learner("a", "HR-1"), learner("b")

    decisions = decide([row("a", "HR-9"), row("b", "HR-1")], one, two)

    assert codes(decisions) == ["changed", "changed"]
    assert decisions[1].change.after.external_id == "HR-1"


# What changes


def test_empty_cells_leave_every_field_unchanged() -> None:
    known = learner(
        "a",
        "HR-1",
        FACTS["accessed-deactivated"]._replace(expires_on=TOMORROW),
        email="a@example.org",
        first_name="Ada",
        last_name="Okafor",
    )

    decision = decide_one(row("a"), known)

    assert (decision.outcome, decision.change, decision.reason) == ("unchanged", None, None)


def test_every_given_field_is_set_and_the_change_has_one_event() -> None:
    known = learner("a", first_name="Ada", account=FACTS["accessed"])

    decision = decide_one(
        row("A", "HR-1", email="a@example.org", last_name="Okafor", is_active=False, expires_on=TOMORROW),
        known,
    )

    assert decision.change.type == "learner.deactivated"
    assert decision.change.after == Learner(
        known.id,
        "A",
        FACTS["accessed"]._replace(deactivated_at=NOW, sessions_valid_from=NOW, expires_on=TOMORROW),
        NOW,
        version=4,
        email="a@example.org",
        first_name="Ada",
        last_name="Okafor",
        external_id="HR-1",
    )


# Active and Expiration Date: the date first, then Active. What the facts resolve to, by the date that
# the row leaves them with; `refused` applies nothing.
AFTER = {
    "Yes": cells("""
                          never        yesterday    today        tomorrow
    new                   activated    refused      activated    activated
    accessed              active       refused      active       active
    new-deactivated       activated    refused      activated    activated
    accessed-deactivated  active       refused      active       active
    """),
    "No": cells("""
                          never        yesterday    today        tomorrow
    new                   deactivated  expired      deactivated  deactivated
    accessed              deactivated  expired      deactivated  deactivated
    new-deactivated       deactivated  expired      deactivated  deactivated
    accessed-deactivated  deactivated  expired      deactivated  deactivated
    """),
    "": cells("""
                          never        yesterday    today        tomorrow
    new                   activated    expired      activated    activated
    accessed              active       expired      active       active
    new-deactivated       deactivated  expired      deactivated  deactivated
    accessed-deactivated  deactivated  expired      deactivated  deactivated
    """),
}
ACTIVE = {"Yes": True, "No": False, "": None}


def with_date(wanted: Any, cell: str) -> Any:
    if cell == "never":
        return replace(wanted, expires_on=None)
    return replace(wanted, expires_on=DATES[cell]) if cell else wanted


@pytest.mark.parametrize("active", ACTIVE)
@pytest.mark.parametrize("date_cell", ["", *DATES])
@pytest.mark.parametrize("name", ACCOUNTS)
def test_the_date_is_applied_first_and_then_active(name: str, date_cell: str, active: str) -> None:
    facts, stored_day = name.split("/")
    account, day = ACCOUNTS[name], date_cell or stored_day
    known = learner("a", account=account)

    decision = decide_one(with_date(row("a", is_active=ACTIVE[active]), date_cell), known)

    expected = AFTER[active][f"{facts}/{day}"]
    if expected == "refused":
        assert (decision.outcome, decision.change) == ("refused", None)
        assert decision.reason == ExpiredRow(decision.reason.expired, is_new=False)
        return
    was_deactivated = account.deactivated_at is not None
    is_deactivated = {"Yes": False, "No": True, "": was_deactivated}[active]
    is_changed = day != stored_day or is_deactivated != was_deactivated
    assert decision.outcome == ("changed" if is_changed else "unchanged")
    after = decision.change.after.account if is_changed else account
    assert resolve_status(after, TODAY) == expected
    newly = is_deactivated and not was_deactivated
    assert after == Account(
        deactivated_at=(DEACTIVATED_AT if was_deactivated else NOW) if is_deactivated else None,
        first_accessed_at=account.first_accessed_at,
        expires_on=DATES[day],
        sessions_valid_from=NOW if newly else account.sessions_valid_from,
    )


@pytest.mark.parametrize("date_cell", ["", *DATES])
@pytest.mark.parametrize("active", ACTIVE)
def test_new_learner_is_activated_unless_the_row_says_otherwise(active: str, date_cell: str) -> None:
    decision = decide_one(with_date(row("a", is_active=ACTIVE[active]), date_cell))

    expected = AFTER[active][f"new/{date_cell or 'never'}"]
    if expected == "refused":
        assert (decision.outcome, decision.change, decision.learner_id) == ("refused", None, None)
        assert decision.username == "a"
        return
    created = decision.change.after
    assert (decision.outcome, decision.change.before) == ("created", None)
    assert decision.change.type == "learner.created"
    assert resolve_status(created.account, TODAY) == expected
    assert created.account.expires_on == DATES[date_cell or "never"]
    assert created.account.deactivated_at == (NOW if active == "No" else None)
    assert (created.version, created.updated_at, created.created_at) == (1, NOW, NOW)


def test_refused_row_applies_nothing_and_says_what_to_do() -> None:
    known = learner("a", "HR-1", FACTS["accessed-deactivated"]._replace(expires_on=YESTERDAY))

    decision = decide_one(row("renamed", "HR-1", email="new@example.org", is_active=True), known)

    assert (decision.change, decision.learner_id, decision.username) == (None, known.id, "a")
    assert decision.reason == ExpiredRow(Expired(YESTERDAY, Status.DEACTIVATED), is_new=False)
    problem = describe_row(decision.reason)
    assert problem["code"] == "learner-expired"
    assert problem["expires_on"] == YESTERDAY.isoformat()
    assert problem["restores_to"] == "deactivated"
    assert problem["column"] == "Active"
    assert problem["detail"].endswith("in Expiration Date.")


def test_a_refused_row_with_a_past_date_of_its_own_names_that_date() -> None:
    decision = decide_one(row("a", is_active=True, expires_on=YESTERDAY), learner("a"))

    assert decision.reason.expired.expires_on == YESTERDAY


@pytest.mark.parametrize(
    ("account", "wanted", "event"),
    [
        (FACTS["new"], row("a", email="a@example.org"), "learner.updated"),
        (FACTS["new"], row("a", expires_on=TOMORROW), "learner.updated"),
        (FACTS["new"], row("a", expires_on=YESTERDAY), "learner.expired"),
        (FACTS["new"]._replace(expires_on=YESTERDAY), row("a", expires_on=TODAY), "learner.restored"),
        (FACTS["new"]._replace(expires_on=YESTERDAY), row("a", expires_on=None), "learner.restored"),
        (FACTS["new"]._replace(expires_on=YESTERDAY), row("a", is_active=False), "learner.deactivated"),
        (FACTS["new-deactivated"], row("a", is_active=True, expires_on=TOMORROW), "learner.activated"),
        (FACTS["accessed"], row("A", is_active=False), "learner.deactivated"),
    ],
)
def test_a_change_is_one_event_of_the_right_type(account: Account, wanted: Wish, event: str) -> None:
    assert decide_one(wanted, learner("a", account=account)).change.type == event


# Nobody yet


def test_row_of_an_unknown_learner_creates_one_with_all_its_fields() -> None:
    decision = decide_one(
        row("a", "HR-1", email="a@example.org", first_name="Ada", last_name="Okafor", expires_on=TODAY)
    )

    created = decision.change.after
    assert (created.id, created.username, created.external_id) == (decision.learner_id, "a", "HR-1")
    assert (created.email, created.first_name, created.last_name) == ("a@example.org", "Ada", "Okafor")
    assert not has_expired(created.account, TODAY)


def test_row_of_an_unknown_learner_without_create_is_not_found() -> None:
    decision = decide_one(row("a", "HR-1"), creates=False)

    assert (decision.outcome, decision.change, decision.learner_id) == ("not_found", None, None)
    assert (decision.username, decision.reason) == ("a", UnknownLearner())
    assert codes([decide_one(row(None, "HR-1"), creates=False)]) == ["not-found"]


def test_known_learner_is_changed_without_create() -> None:
    assert decide_one(row("a", is_active=False), learner("a"), creates=False).outcome == "changed"


def test_a_new_learner_needs_a_username() -> None:
    decision = decide_one(row(None, "HR-1", email="a@example.org"))

    assert (decision.outcome, decision.change) == ("invalid", None)
    assert decision.reason == MissingUsername("HR-1")


# Rows that could not be read


def test_invalid_row_keeps_its_reason_and_column() -> None:
    known = learner("a")
    reason = InvalidCell("active", "ACTIVE", "'Ja' is not valid.")

    decision = decide_one(InvalidRow((reason,), "A"), known)

    assert (decision.outcome, decision.change, decision.learner_id) == ("invalid", None, known.id)
    problem = describe_row(decision.reason)
    assert (problem["code"], problem["detail"]) == ("invalid-active", "'Ja' is not valid.")
    assert problem["column"] == "ACTIVE"


def test_problem_without_a_column_names_no_column() -> None:
    decision = decide_one(InvalidRow((MissingKey(),)))

    assert "column" not in describe_row(decision.reason)
    assert (decision.username, decision.learner_id) == (None, None)


def test_invalid_row_is_invalid_even_without_create() -> None:
    invalid = InvalidRow((InvalidCell("email", "Email", "No address."),), "a")

    assert codes([decide_one(invalid, creates=False)]) == ["invalid-email"]


# The same learner twice


BROKEN = InvalidRow((InvalidCell("active", "Active", "Use Yes or No."),), "a", "HR-1")
REFUSED = row("a", "HR-1", is_active=True, expires_on=YESTERDAY)


@pytest.mark.parametrize(
    ("first", "outcome"),
    [
        (row("a", "HR-1"), "unchanged"),
        (row("a", "HR-1", email="a@example.org"), "changed"),
        (REFUSED, "learner-expired"),
        (BROKEN, "invalid-active"),
    ],
)
@pytest.mark.parametrize("again", [row("a"), row("A"), row(None, "HR-1"), row("z", "HR-1"), row("a", "HR-9")])
def test_first_row_of_a_known_learner_counts_whatever_its_outcome(
    first: Wish | InvalidRow, outcome: str, again: Wish
) -> None:
    known = learner("a", "HR-1")

    decisions = decide([first, row("other"), again, again], known)

    assert codes(decisions) == [outcome, "created", "duplicate-row", "duplicate-row"]
    for duplicate in decisions[2:]:
        assert (duplicate.outcome, duplicate.change, duplicate.learner_id) == ("invalid", None, known.id)
        assert duplicate.reason == DuplicateRow(2)


@pytest.mark.parametrize(
    ("first", "outcome", "creates"),
    [
        (row("a", "HR-1"), "created", True),
        (row("a", "HR-1"), "not-found", False),
        (REFUSED, "learner-expired", True),
        (BROKEN, "invalid-active", True),
    ],
)
@pytest.mark.parametrize("again", [row("a"), row("A"), row(None, "HR-1"), row("z", "HR-1"), row("a", "HR-9")])
@pytest.mark.parametrize("is_dry_run", [False, True])
def test_first_row_of_an_unknown_learner_counts_whatever_its_outcome(
    first: Wish | InvalidRow, outcome: str, creates: bool, again: Wish, is_dry_run: bool
) -> None:
    decisions = decide([first, again], creates=creates, is_dry_run=is_dry_run)

    assert codes(decisions) == [outcome, "duplicate-row"]
    assert decisions[1].reason == DuplicateRow(2)
    assert decisions[1].change is None


@pytest.mark.parametrize("known", [[], [learner("a", "HR-1")], [learner("a", "HR-2"), learner("b", "HR-1")]])
@pytest.mark.parametrize("is_dry_run", [False, True])
def test_reported_duplicate_stays_refused_and_does_not_block_later_rows(
    known: list[Learner], is_dry_run: bool
) -> None:
    marked = InvalidRow((ReportedDuplicate("Problem"),), "a", "HR-1")

    decisions = decide([marked, marked, row("a")], *known, is_dry_run=is_dry_run)

    assert codes(decisions)[:2] == ["duplicate-row"] * 2
    assert codes(decisions)[2] in ("created", "unchanged")
    assert [each.change for each in decisions[:2]] == [None, None]
    assert decisions[1].reason == ReportedDuplicate("Problem")


def test_a_later_row_under_the_name_that_the_first_gave_is_a_duplicate() -> None:
    decisions = decide([row("b", "HR-1"), row("b")], learner("a", "HR-1"))

    assert codes(decisions) == ["changed", "duplicate-row"]


def test_rows_without_names_are_not_duplicates() -> None:
    nameless = InvalidRow((WrongNumberOfCells(1, 2),))

    assert codes(decide([nameless, nameless])) == ["wrong-number-of-cells"] * 2


def test_different_learners_are_not_duplicates() -> None:
    decisions = decide([row("a", "HR-1"), row("b", "HR-2"), row("HR-1"), row("c")], learner("c"))

    assert codes(decisions) == ["created", "created", "created", "unchanged"]


def test_an_earlier_chunks_rows_count_too() -> None:
    known = learner("a", "HR-1")
    nobody = row("n", "HR-7")

    decisions = decide(
        [row("a"), row("n"), row("z", "HR-7"), row("b")],
        known,
        learner_lines={known.id: 17},
        name_lines=dict.fromkeys(name_keys(nobody), 18),
    )

    assert codes(decisions) == ["duplicate-row"] * 3 + ["created"]
    assert [each.reason for each in decisions[:3]] == [DuplicateRow(17), DuplicateRow(18), DuplicateRow(18)]


def test_chunk_passes_its_learners_and_names_to_the_next_chunks() -> None:
    known = learner("a")
    first = roll(known)
    first.decide(2, row("a"))
    created = first.decide(3, row("b"))
    first.decide(4, InvalidRow((InvalidCell("email", "Email", "No address."),), "c", "HR-3"))

    assert first.new_learner_lines == {known.id: 2, created.learner_id: 3}
    assert first.new_name_lines == dict.fromkeys(name_keys(row("c", "HR-3")), 4)


def test_names_are_told_apart_by_kind_and_compared_as_the_keys_are() -> None:
    def keys(username: str | None = None, external_id: str | None = None) -> Any:
        return set(name_keys(row(username, external_id)))

    assert keys("A") == keys("a")
    assert keys("x").isdisjoint(keys(None, "x"))
    assert keys(None, "HR-1").isdisjoint(keys(None, "hr-1"))
    assert keys("x", "y") == keys("x") | keys(None, "y")


# protect_manual


def test_learner_deactivated_by_hand_is_refused_and_unchanged() -> None:
    known = learner("a", account=FACTS["accessed-deactivated"])

    decision = decide_one(row("a", email="new@example.org", is_active=True), known, protected=[known.id])

    assert (decision.outcome, decision.change, decision.learner_id) == ("refused", None, known.id)
    assert decision.reason == DeactivatedByHand()
    assert describe_row(decision.reason)["column"] == "Active"


@pytest.mark.parametrize("active", [None, False])
def test_protection_allows_other_changes(active: bool | None) -> None:
    known = learner("a", account=FACTS["accessed-deactivated"])

    decision = decide_one(row("a", email="new@example.org", is_active=active), known, protected=[known.id])

    assert decision.outcome == "changed"
    assert decision.change.after.account == known.account


def test_learner_not_deactivated_by_hand_is_activated() -> None:
    one = learner("a", account=FACTS["accessed-deactivated"])
    two = learner("b", account=FACTS["accessed-deactivated"])

    assert decide_one(row("b", is_active=True), one, two, protected=[one.id]).outcome == "changed"


# Keys that move from one learner to another


def changes_of(decisions: Iterable[Decision]) -> list[Any]:
    return [each.change for each in decisions if each.change is not None]


def batches(*decisions: Change) -> list[Any]:
    return [[change.after.username for change in batch] for batch in split_where_keys_move(decisions)]


def test_changes_that_move_no_key_are_one_batch() -> None:
    rows = [row(f"u{number}", email="a@example.org") for number in range(50)]
    known = [learner(f"u{number}") for number in range(25)]

    assert batches(*changes_of(decide(rows, *known))) == [[f"u{number}" for number in range(50)]]


def test_no_changes_make_no_batch() -> None:
    assert batches() == []


def test_a_chain_of_renames_is_split_at_every_link() -> None:
    known = [learner(name, f"HR-{name}") for name in "abc"]
    rows = [row("d", "HR-c"), row("c", "HR-b"), row("b", "HR-a"), row("a")]

    assert batches(*changes_of(decide(rows, *known))) == [["d"], ["c"], ["b"], ["a"]]


def test_an_external_id_that_moves_splits_too() -> None:
    rows = [row("a", "HR-9"), row("x"), row("b", "HR-1")]

    assert batches(*changes_of(decide(rows, learner("a", "HR-1"), learner("b")))) == [["a", "x"], ["b"]]


def test_another_spelling_of_the_same_username_gives_nothing_up() -> None:
    assert batches(*changes_of(decide([row("A"), row("b")], learner("a")))) == [["A", "b"]]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_no_batch_takes_a_key_that_it_frees(order: tuple[int, ...]) -> None:
    known = [learner(f"u{number}", f"HR-{number}") for number in range(4)]
    rows = [row(f"u{number + 1}", f"HR-{number}") for number in order] + [row("u0")]
    changes = changes_of(decide(rows, *known))

    split = list(split_where_keys_move(changes))

    assert [change for batch in split for change in batch] == changes
    for batch in split:
        given_up = {each.before.username for each in batch if each.before is not None}
        assert given_up.isdisjoint(each.after.username for each in batch)
