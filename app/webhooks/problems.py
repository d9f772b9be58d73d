"""What can stand in the way of a change of webhooks, as facts and as problems."""

from app.platform.problems import (
    INVALID_REQUEST,
    NOT_FOUND,
    Problem,
    Translations,
    define_problem,
    illustrate,
)
from app.webhooks.webhook import MAX_WEBHOOKS

TOO_MANY_WEBHOOKS = define_problem(
    "too-many-webhooks",
    409,
    "There are too many webhooks",
    f"An organization has at most {MAX_WEBHOOKS} webhooks. Remove one that nobody needs.",
)
NO_WEBHOOK = Problem(NOT_FOUND, "There is no such webhook in your organization.")
NO_DELIVERY = Problem(NOT_FOUND, "This webhook has no such delivery of an event.")


class WebhookNotFound(Exception):
    """The organization has no such webhook."""


class TooManyWebhooks(Exception):
    """The organization has as many as it may have."""


class PrivateAddress(Exception):
    """The URL leads, as it is written, into a private network, or has no TLS."""


def _not_found(_error: WebhookNotFound) -> Problem:
    return Problem(NOT_FOUND, NO_WEBHOOK.detail)


def _too_many(_error: TooManyWebhooks) -> Problem:
    return Problem(
        TOO_MANY_WEBHOOKS,
        f"Your organization has {MAX_WEBHOOKS} webhooks already. Remove one that nobody needs.",
    )


def _private(_error: PrivateAddress) -> Problem:
    detail = (
        "Webhooks are sent with https, and not into private networks. Whoever runs the service can allow both: "
        "ROLLCALL_WEBHOOKS_TO_PRIVATE_NETWORKS."
    )
    return Problem(INVALID_REQUEST, detail, errors=[{"pointer": "/url", "detail": detail}])


TRANSLATIONS: Translations = {
    WebhookNotFound: _not_found,
    TooManyWebhooks: _too_many,
    PrivateAddress: _private,
}
illustrate(_too_many(TooManyWebhooks()))
