"""The interpreter's settings in each process of the service: garbage collection and thread switching."""

import gc
import sys

# Work on thousands of rows makes hundreds of thousands of small objects and no cycles. With the interpreter's default,
# a quarter of that time is spent looking for cycles (see bench/).
_ALLOCATIONS_BETWEEN_COLLECTIONS = 20_000
# An answer changes threads several times and may wait this long each time. Python's default is 0.005. With this value
# the slowest answers during heavy work take half as long, and the work itself takes no longer (measured).
_THREAD_TURN_SECONDS = 0.0005


def tune_interpreter() -> None:
    """Set up the interpreter for this process. Call it once, when all modules are loaded."""
    gc.collect()
    gc.freeze()  # the objects made at start-up are never scanned again
    gc.set_threshold(_ALLOCATIONS_BETWEEN_COLLECTIONS)
    sys.setswitchinterval(_THREAD_TURN_SECONDS)
