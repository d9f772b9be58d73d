"""The content of an import's chunks: rows as they were sent, or learners that the file does not list."""

from collections.abc import Sequence
from typing import NamedTuple

import orjson

from app.imports.cells import Row


class StagedRows(NamedTuple):
    """Rows as they were sent, in the order of the file."""

    rows: Sequence[Row]

    def encode(self) -> bytes:
        """Return the content of the chunk."""
        return orjson.dumps([(row.line, row.cells) for row in self.rows])


class MissingLearners(NamedTuple):
    """Learners that no row of the file names, with their external ids, in id order."""

    ids: list[str]
    external_ids: list[str | None]

    def encode(self) -> bytes:
        """Return the content of the chunk."""
        return orjson.dumps({"ids": self.ids, "external_ids": self.external_ids})


def decode_content(content: bytes) -> StagedRows | MissingLearners:
    """Decode what `encode` returned."""
    document = orjson.loads(content)
    if isinstance(document, dict):
        return MissingLearners(document["ids"], document["external_ids"])
    return StagedRows([Row(line, cells) for line, cells in document])
