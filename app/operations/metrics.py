"""What `GET /metrics` shows about operations."""

from prometheus_client import Counter

ROWS = Counter("rollcall_operation_rows", "Learners or rows handled by operations.", ["kind", "outcome"])
OPERATIONS = Counter("rollcall_operations_finished", "Operations that have ended.", ["kind", "state"])
