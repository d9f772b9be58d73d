"""What `GET /metrics` shows about webhooks."""

from prometheus_client import Counter

WEBHOOK_ATTEMPTS = Counter("rollcall_webhook_attempts", "Messages sent to webhooks.", ["result"])
