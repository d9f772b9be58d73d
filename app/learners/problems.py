"""The problems of one learner, and how this slice's errors become problems."""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.domain.errors import Expired, LearnerExpired
from app.domain.status import Status
from app.learners.errors import (
    ExternalIdTaken,
    InvalidIfMatch,
    LearnerNotFound,
    UsernameTaken,
    VersionMismatch,
)
from app.platform.problems import (
    INVALID_REQUEST,
    NOT_FOUND,
    Problem,
    Translations,
    define_problem,
    illustrate,
)


class ExpiredMembers(BaseModel):
    """The members of `learner-expired`."""

    expires_on: Annotated[date, Field(description="The learner's last day of access.")]
    restores_to: Annotated[
        Literal["active", "activated", "deactivated"],
        Field(description="The status that a new expiration date gives back."),
    ]


class MismatchMembers(BaseModel):
    """The members of `version-mismatch`."""

    current_version: Annotated[int, Field(description="The learner's current version.")]


LEARNER_EXPIRED = define_problem(
    "learner-expired",
    409,
    "The learner has expired",
    "An expired learner cannot be activated. Set `expires_on` to today, a later day or null. In a CSV file, fill in "
    "Expiration Date. The learner then has the status in `restores_to`.",
    ExpiredMembers,
)
USERNAME_TAKEN = define_problem(
    "username-taken",
    409,
    "The username is taken",
    "Another learner of your organization has this username. Case, width and the number of spaces make no "
    "difference. Choose another username.",
)
EXTERNAL_ID_TAKEN = define_problem(
    "external-id-taken",
    409,
    "The external id is taken",
    "Another learner of your organization has this external id. Check which of the two it belongs to.",
)
VERSION_MISMATCH = define_problem(
    "version-mismatch",
    412,
    "The learner has changed",
    "The learner has changed since you received the `ETag` that you sent in `If-Match`. Read the learner again. "
    "If your change is still right, send it again with the new `ETag`.",
    MismatchMembers,
)


def expired_problem(reason: Expired) -> Problem:
    """Make the problem that answers an activation of an expired learner."""
    day = reason.expires_on.isoformat()
    return Problem(
        LEARNER_EXPIRED,
        f"The account expired after {day}. To restore it, set expires_on to today, a later day or null. Its status "
        f"is then {reason.restores_to.value}.",
        members={"expires_on": day, "restores_to": reason.restores_to.value},
    )


def learner_not_found(_error: LearnerNotFound | None = None) -> Problem:
    """Make the problem that answers a request for a learner that does not exist."""
    return Problem(NOT_FOUND, "Your organization has no such learner. Check the id, username or external id.")


def _learner_expired(error: LearnerExpired) -> Problem:
    return expired_problem(error.reason)


def _username_taken(error: UsernameTaken) -> Problem:
    return Problem(
        USERNAME_TAKEN,
        f"Another learner already has the username {error.username!r}. Choose another.",
        errors=[{"pointer": "/username", "detail": "This username is taken. Choose another."}],
    )


def _external_id_taken(error: ExternalIdTaken) -> Problem:
    return Problem(
        EXTERNAL_ID_TAKEN,
        f"Another learner already has the external id {error.external_id!r}. Check which of the two it belongs to.",
        errors=[
            {
                "pointer": "/external_id",
                "detail": "This external id is taken. Check which learner it belongs to.",
            }
        ],
    )


def _invalid_if_match(_error: InvalidIfMatch) -> Problem:
    detail = 'If-Match must be the ETag of a learner as you received it, such as "7.active.0", or *.'
    return Problem(INVALID_REQUEST, detail, errors=[{"pointer": "header:If-Match", "detail": detail}])


def _version_mismatch(error: VersionMismatch) -> Problem:
    return Problem(
        VERSION_MISMATCH,
        f"This learner has changed since you read it. The version is now {error.current}. Read the learner again. "
        "If your change is still right, send it again with the new ETag.",
        members={"current_version": error.current},
    )


TRANSLATIONS: Translations = {
    LearnerNotFound: learner_not_found,
    LearnerExpired: _learner_expired,
    UsernameTaken: _username_taken,
    ExternalIdTaken: _external_id_taken,
    InvalidIfMatch: _invalid_if_match,
    VersionMismatch: _version_mismatch,
}

illustrate(expired_problem(Expired(date(2026, 10, 31), Status.ACTIVATED)))
illustrate(_username_taken(UsernameTaken("a.okafor")))
illustrate(_external_id_taken(ExternalIdTaken("HR-1003")))
illustrate(_version_mismatch(VersionMismatch(8)))
