"""What can go wrong with a change of webhooks, as facts."""


class WebhookNotFound(Exception):
    """The organization has no such webhook."""


class DeliveryNotFound(Exception):
    """The webhook has no such delivery of an event."""


class TooManyWebhooks(Exception):
    """The organization has MAX_WEBHOOKS webhooks."""


class PrivateAddress(Exception):
    """The URL names a private address, or does not use https."""
