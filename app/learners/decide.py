"""Decides what a wish does to one learner, by the rules. Pure: no database, no clock.

PATCH, activate, deactivate and the rows of an import all decide here.
"""

from dataclasses import dataclass

from app.domain.errors import Expired
from app.domain.status import Account
from app.domain.transitions import Refused, activate, change_expiration, deactivate
from app.learners.learner import Cause, Change, Learner, change_of, creation_of
from app.learners.wish import NoChange, Wish

_NEW_ACCOUNT = Account()


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The learner has everything that the wish asks for: there is nothing to store or to record."""

    learner: Learner


def decide_change(learner: Learner, wish: Wish, cause: Cause) -> Change | Unchanged | Refused:
    """Decide the profile, the expiration date and Active together: all of it happens, or nothing.

    The date is applied before Active, so that one wish can move the date of an expired learner and activate
    them. The caller checks whether the username and the external id are free.
    """
    account = _decide_account(learner.account, wish, cause)
    if isinstance(account, Expired):
        return Refused(account)
    change = change_of(learner, cause, account, wish.profile)
    return Unchanged(learner) if change is None else change


def decide_creation(learner_id: str, wish: Wish, cause: Cause) -> Change | Refused:
    """Decide the creation of a learner, by the same rules. The wish must name a username."""
    account = _decide_account(_NEW_ACCOUNT, wish, cause)
    if isinstance(account, Expired):
        return Refused(account)
    return creation_of(Learner(id=learner_id, account=account, updated_at=cause.at, **wish.profile))  # type: ignore[arg-type]


def _decide_account(account: Account, wish: Wish, cause: Cause) -> Account | Expired:
    if not isinstance(wish.expires_on, NoChange):
        account = change_expiration(account, wish.expires_on).account
    if wish.is_active is None:
        return account
    if not wish.is_active:
        return deactivate(account, cause.at).account
    decision = activate(account, cause.today)
    return decision.reason if isinstance(decision, Refused) else decision.account
