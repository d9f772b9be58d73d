"""The problems of one learner, and how the slice's exceptions become them."""

from app.domain.errors import LearnerExpired
from app.learners.errors import ExternalIdTaken, LearnerNotFound, UsernameTaken, VersionMismatch
from app.platform.problems import NOT_FOUND, Problem, Translations, define_problem

LEARNER_EXPIRED = define_problem(
    "learner-expired",
    409,
    "The learner has expired",
    "An expired account comes back only by a new expiration date, and then to the status that `restores_to` "
    "names. Set `expires_on` to today or later, or to null (in a CSV: fill in Expiration Date).",
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
)


def expired_problem(error: LearnerExpired) -> Problem:
    """What to tell whoever tried to activate an expired learner."""
    day = error.expires_on.isoformat()
    return Problem(
        LEARNER_EXPIRED,
        f"The account expired after {day}. To bring it back, set expires_on to today or later, or to null: "
        f"it then returns to {error.restores_to.value}.",
        members={"expires_on": day, "restores_to": error.restores_to.value},
    )


def _not_found(_error: LearnerNotFound) -> Problem:
    return Problem(NOT_FOUND, "There is no such learner in your organization.")


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
        f"The learner is at version {error.current} by now; read it again and decide again.",
        members={"current_version": error.current},
    )


TRANSLATIONS: Translations = {
    LearnerNotFound: _not_found,
    LearnerExpired: expired_problem,
    UsernameTaken: _username_taken,
    ExternalIdTaken: _external_id_taken,
    VersionMismatch: _version_mismatch,
}
