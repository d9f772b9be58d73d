"""How much the service does at a time, and how long it pauses: one value, handed in at the start.

Operators set what depends on their machine in `Settings`. Production never needs other values here. A test
with chunks of five rows shows in a moment what would otherwise need thirty thousand rows.
"""

from dataclasses import dataclass
from datetime import timedelta

from app.platform.state import StateKey


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes, pauses and counts. Every pause is in seconds; every count is for one process."""

    # Learners or rows in one chunk, and so in one transaction. A chunk of unusually long rows ends earlier, after
    # this many characters.
    chunk_rows: int = 5000
    chunk_characters: int = 2_000_000
    # The most chunks of an operation that runs within its own request. With more, the engine runs it.
    chunks_in_request: int = 2
    # Chunks that one process works on at once: the database works on one, Python on the other.
    chunks_at_once: int = 2
    # Selections by filter at once. Each holds one connection while it stages with another.
    selections_at_once: int = 3
    # Operations of different organizations that one process runs at once. If others wait, each runs for one turn.
    operations_at_once: int = 4
    turn_seconds: float = 10.0
    # The pause before a chunk is tried again while the database is away. It doubles up to the longest.
    first_retry_seconds: float = 0.5
    longest_retry_seconds: float = 30.0

    # Uploads at once that have not been received completely, and the bytes of the uploaded files that are not closed
    # yet. An organization that uses all of its own leaves room for others.
    uploads_at_once: int = 32
    uploads_per_organization: int = 8
    upload_bytes_at_once: int = 4 * 1024**3
    upload_bytes_per_organization: int = 1024**3
    # What an upload leaves free on the disk for temporary files.
    upload_free_bytes: int = 64 * 1024**2
    # The longest pause within an upload, the time for a small one, and the average speed of a larger one.
    upload_pause_seconds: float = 30.0
    upload_grace_seconds: float = 60.0
    upload_bytes_per_second: int = 64 * 1024

    # The pause between two looks at an operation that a request waits for. It grows from the first to the last.
    first_look_seconds: float = 0.02
    last_look_seconds: float = 0.25
    # The pauses of a progress stream: between two looks, and between two keep-alive comments.
    progress_look_seconds: float = 0.5
    keep_alive_seconds: float = 15.0
    # The pauses of the durable engine: between two looks for operations, and between two looks at its queue.
    engine_look_seconds: float = 0.5
    queue_poll_seconds: float = 0.25
    # How many ended workflows the engine forgets at once, and the pause in between.
    forgotten_workflows: int = 500
    forget_seconds: float = 60.0

    # The pause between two rounds of housekeeping, and the rows that one of its transactions removes.
    housekeeping_seconds: float = 300.0
    removed_rows: int = 5000
    # A stage without an operation that is this old belongs to an interrupted upload.
    stage_abandoned_after: timedelta = timedelta(hours=24)

    # A list fetches and sorts this many matches of a filter. With more, it walks the index of the sort order.
    few_matches: int = 2000
    # Exports that stream at once. Each holds a database connection.
    exports_at_once: int = 4
    # How long a credential is remembered, and how many are. A revoked key must be refused everywhere within 5 s;
    # this leaves room for a slow query.
    credential_cached_for: timedelta = timedelta(seconds=2)
    cached_credentials: int = 10_000
    # The pause between two times that the last use of each key is stored.
    key_use_seconds: float = 30.0

    # The pause between two looks for new events, and the positions looked through at a time.
    webhook_look_seconds: float = 1.0
    webhook_window: int = 5000
    # The most deliveries that wait for one webhook; later events wait in the log.
    webhook_pending: int = 1000
    # Messages to one webhook at once, and the time for one message.
    webhook_messages_at_once: int = 8
    webhook_timeout_seconds: float = 15.0


LIMITS: StateKey[Limits] = StateKey("limits")
