"""The problems of one learner, and how the slice's exceptions become them."""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.domain.errors import Expired, LearnerExpired
from app.domain.status import Status
from app.learners.errors import ExternalIdTaken, LearnerNotFound, UsernameTaken, VersionMismatch
from app.platform.problems import NOT_FOUND, Problem, Translations, define_problem, illustrate


class ExpiredMembers(BaseModel):
    """What `learner-expired` tells besides."""

    expires_on: Annotated[date, Field(description="The last day that the learner had access.")]
    restores_to: Annotated[
        Literal["active", "activated", "deactivated"],
        Field(description="The status to which a new expiration date brings the learner back."),
    ]


class MismatchMembers(BaseModel):
    """What `version-mismatch` tells besides."""

    current_version: Annotated[int, Field(description="The learner's version by now.")]


LEARNER_EXPIRED = define_problem(
    "learner-expired",
    409,
    "The learner has expired",
    "An expired account comes back only by a new expiration date, and then to the status that `restores_to` "
    "names. Set `expires_on` to today or later, or to null (in a CSV: fill in Expiration Date).",
    ExpiredMembers,
)
USERNAME_TAKEN = define_problem(
    "username-taken",
    409,
    "The username is taken",
    "Another learner of the organization has this username. Usernames are compared without regard to case.",
)
EXTERNAL_ID_TAKEN = define_problem(
    "external-id-taken",
    409,
    "The external id is taken",
    "Another learner of the organization has this external id.",
)
VERSION_MISMATCH = define_problem(
    "version-mismatch",
    412,
    "The learner has changed meanwhile",
    "`If-Match` named a version that is no longer the current one. Read the learner again, decide again.",
    MismatchMembers,
)


def expired_problem(reason: Expired) -> Problem:
    """Make the problem that answers an activation of an expired learner."""
    day = reason.expires_on.isoformat()
    return Problem(
        LEARNER_EXPIRED,
        f"The account expired after {day}. To bring it back, set expires_on to today or later, or to null: "
        f"it then returns to {reason.restores_to.value}.",
        members={"expires_on": day, "restores_to": reason.restores_to.value},
    )


def learner_not_found(_error: LearnerNotFound | None = None) -> Problem:
    """What to tell whoever names a learner that the organization does not have."""
    return Problem(NOT_FOUND, "There is no such learner in your organization.")


def _learner_expired(error: LearnerExpired) -> Problem:
    return expired_problem(error.reason)


def _username_taken(error: UsernameTaken) -> Problem:
    return Problem(
        USERNAME_TAKEN,
        f"Another learner already has the username {error.username!r}.",
        errors=[{"pointer": "/username", "detail": "This username is taken."}],
    )


def _external_id_taken(error: ExternalIdTaken) -> Problem:
    return Problem(
        EXTERNAL_ID_TAKEN,
        f"Another learner already has the external id {error.external_id!r}.",
        errors=[{"pointer": "/external_id", "detail": "This external id is taken."}],
    )


def _version_mismatch(error: VersionMismatch) -> Problem:
    return Problem(
        VERSION_MISMATCH,
        f"Somebody has changed this learner since you looked: it is at version {error.current} now. Look again, "
        "and send what you still want to change.",
        members={"current_version": error.current},
    )


TRANSLATIONS: Translations = {
    LearnerNotFound: learner_not_found,
    LearnerExpired: _learner_expired,
    UsernameTaken: _username_taken,
    ExternalIdTaken: _external_id_taken,
    VersionMismatch: _version_mismatch,
}

illustrate(expired_problem(Expired(date(2026, 10, 31), Status.ACTIVATED)))
illustrate(_username_taken(UsernameTaken("a.okafor")))
illustrate(_external_id_taken(ExternalIdTaken("HR-1003")))
illustrate(_version_mismatch(VersionMismatch(8)))
