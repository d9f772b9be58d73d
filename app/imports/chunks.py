"""The content of an import's chunks: rows as they were sent, or learners that the file does not list."""

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

# A higher level takes much longer and saves little.
_LEVEL = 3


class StagedRows(NamedTuple):
    """Rows as they were sent, in the order of the file: the line of each, and its cells or its JSON text."""

    rows: Sequence[tuple[int, Any]]

    def encode(self) -> bytes:
        """Return the content of the chunk. It is compressed, because it is kept for the report."""
        return zlib.compress(orjson.dumps(self.rows), _LEVEL)


class MissingLearners(NamedTuple):
    """Learners that no row of the file names, in id order."""

    ids: Sequence[str]

    def encode(self) -> bytes:
        """Return the content of the chunk."""
        return orjson.dumps({"ids": self.ids})


def decode_content(content: bytes) -> StagedRows | MissingLearners:
    """Decode what `encode` returned. Rows that an earlier version has stored are not compressed."""
    document = orjson.loads(content if content[:1] in b"{[" else zlib.decompress(content))
    if isinstance(document, dict):
        return MissingLearners(document["ids"])
    return StagedRows([(line, row) for line, row in document])
