"""How Python itself runs in a process of the service: garbage collection and turns between threads."""

import gc
import sys

# Importing thousands of rows makes hundreds of thousands of small objects and no cycles. With the interpreter's
# default a quarter of an import's time goes into looking for cycles (bench, import).
_ALLOCATIONS_BETWEEN_COLLECTIONS = 20_000
# An answer changes threads several times and may wait this long at each; Python's own value is 0.005. Measured:
# while an import runs, the slowest access checks take half as long, and the import takes no longer.
_THREAD_TURN_SECONDS = 0.0005


def tune_interpreter() -> None:
    """Set up the interpreter for this process. Call it once, after all imports."""
    gc.collect()
    gc.freeze()  # what start-up made is never scanned again
    gc.set_threshold(_ALLOCATIONS_BETWEEN_COLLECTIONS)
    sys.setswitchinterval(_THREAD_TURN_SECONDS)
