"""What `GET /metrics` shows about access checks."""

from prometheus_client import Counter

ACCESS_CHECKS = Counter("rollcall_access_checks", "Access checks answered.", ["allowed", "reason"])
