"""How a process collects garbage: what start-up made is never scanned again, and the rest less often.

Importing thousands of rows makes hundreds of thousands of small objects and no cycles; with the
interpreter's defaults a quarter of an import's time went into looking for some (bench, import).
"""

import gc

_ALLOCATIONS_BETWEEN_COLLECTIONS = 20_000


def tune_collection() -> None:
    """Call once, when everything is imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS_BETWEEN_COLLECTIONS)
