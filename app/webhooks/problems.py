"""What can go wrong with a change of webhooks, as HTTP problems."""

from app.platform.problems import (
    INVALID_REQUEST,
    NOT_FOUND,
    Problem,
    Translations,
    define_problem,
    illustrate,
)
from app.webhooks.errors import DeliveryNotFound, PrivateAddress, TooManyWebhooks, WebhookNotFound
from app.webhooks.webhook import MAX_WEBHOOKS

TOO_MANY_WEBHOOKS = define_problem(
    "too-many-webhooks",
    409,
    "Too many webhooks",
    f"An organization can have at most {MAX_WEBHOOKS} webhooks. Remove one that you no longer need.",
)
NO_WEBHOOK = Problem(NOT_FOUND, "Your organization has no webhook with this id.")
NO_DELIVERY = Problem(NOT_FOUND, "This webhook has no delivery of an event with this id.")


def _webhook_not_found(_error: WebhookNotFound) -> Problem:
    return Problem(NOT_FOUND, NO_WEBHOOK.detail)


def _delivery_not_found(_error: DeliveryNotFound) -> Problem:
    return Problem(NOT_FOUND, NO_DELIVERY.detail)


def _too_many_webhooks(_error: TooManyWebhooks) -> Problem:
    return Problem(
        TOO_MANY_WEBHOOKS,
        f"Your organization already has {MAX_WEBHOOKS} webhooks. Remove one that you no longer need.",
    )


def _private_address(_error: PrivateAddress) -> Problem:
    detail = (
        "Webhooks are sent only with https and only to public addresses. The operator can allow http and "
        "private addresses with ROLLCALL_WEBHOOKS_TO_PRIVATE_NETWORKS."
    )
    return Problem(INVALID_REQUEST, detail, errors=[{"pointer": "/url", "detail": detail}])


TRANSLATIONS: Translations = {
    WebhookNotFound: _webhook_not_found,
    DeliveryNotFound: _delivery_not_found,
    TooManyWebhooks: _too_many_webhooks,
    PrivateAddress: _private_address,
}
illustrate(_too_many_webhooks(TooManyWebhooks()))
