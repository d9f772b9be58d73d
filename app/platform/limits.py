"""How much the service does at a time, and how often it looks: one value, handed in at the start.

Operators set what depends on their machine in `Settings`. What stands here never needs another value in production,
but a test that hands in chunks of five rows sees in a moment what takes thirty thousand rows otherwise.
"""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes, pauses and counts. Every pause is in seconds; every count is for one process."""

    # Learners or rows in one chunk, and so in one transaction. A chunk of unusually long rows ends after so many
    # characters, so that no chunk is large.
    chunk_rows: int = 5000
    chunk_characters: int = 2_000_000
    # An operation of at most this many chunks may be done within its own request.
    chunks_in_request: int = 2
    # Chunks that one process works on: while the database has one, Python has the other.
    chunks_at_once: int = 2
    # Selecting by filter holds one connection while it stages with another: never with all of them.
    selections_at_once: int = 3
    # Operations, of as many organizations, that one process runs at once. If others wait, each runs for a turn.
    operations_at_once: int = 4
    turn_seconds: float = 10.0
    # Between two tries of a chunk while the database is away: doubled from the first to the longest.
    first_retry_seconds: float = 0.5
    longest_retry_seconds: float = 30.0

    # Between two looks at an operation that a request waits for: rarer and rarer.
    first_look_seconds: float = 0.02
    last_look_seconds: float = 0.25
    # Between two looks of a progress stream, and between two signs of life if nothing changes.
    progress_look_seconds: float = 0.5
    keep_alive_seconds: float = 15.0
    # Between two looks of the engine for operations, if nobody tells it, and of its queue.
    engine_look_seconds: float = 0.5
    queue_poll_seconds: float = 0.25
    # The engine forgets so many ended workflows at once, so often.
    forgotten_workflows: int = 500
    forget_seconds: float = 60.0

    # Between two rounds of housekeeping, and the rows that one of its transactions removes.
    housekeeping_seconds: float = 300.0
    removed_rows: int = 5000
    # A stage this old, without an operation, belongs to an upload that was cut off.
    stage_abandoned_after: timedelta = timedelta(hours=24)

    # Exports that stream at once: each keeps a database connection.
    exports_at_once: int = 4
    # How long a credential is remembered, and how many are. A revoked key must be refused everywhere within 5 s;
    # this leaves room for a slow query.
    credential_cached_for: timedelta = timedelta(seconds=2)
    cached_credentials: int = 10_000
    # Between two times that the last uses of keys are stored.
    key_use_seconds: float = 30.0

    # Webhooks: between two looks for new events; positions looked through at a time; deliveries that one webhook
    # has waiting (later events wait in the log); messages to one webhook at once; and the time for one message.
    webhook_look_seconds: float = 1.0
    webhook_window: int = 5000
    webhook_pending: int = 1000
    webhook_messages_at_once: int = 8
    webhook_timeout_seconds: float = 15.0
