"""Receives a file: bounded in number, bytes and time, spooled to disk, never whole in memory.

The bounds are those of one process. `Limits` has their values and says what they mean.
"""

import asyncio
import hashlib
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Self, cast

from app.imports.errors import NoRoomForUpload, TooLittleDisk, TooManyUploads, UploadTooSlow
from app.limits import Limits

# Up to this size a file stays in memory. Larger ones are hashed and written in pieces of this size, in a thread.
_PIECE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A complete file, and the SHA-256 of its bytes."""

    file: BinaryIO
    content_hash: str


class Uploads:
    """The unfinished uploads of this process by organization, and the bytes of files that are not closed yet."""

    def __init__(self) -> None:
        self.unfinished: Counter[int] = Counter()
        self.held_bytes: Counter[int] = Counter()

    @contextmanager
    def occupy(self, organization_id: int, limits: Limits) -> Iterator[None]:
        """Count one upload until it has been received. Raises TooManyUploads."""
        if self.unfinished[organization_id] >= limits.uploads_per_organization:
            raise TooManyUploads(limits.uploads_per_organization, of_organization=True)
        if self.unfinished.total() >= limits.uploads_at_once:
            raise TooManyUploads(limits.uploads_at_once, of_organization=False)
        self.unfinished[organization_id] += 1
        try:
            yield
        finally:
            _subtract(self.unfinished, organization_id, 1)

    def hold(self, organization_id: int, size: int, own: int, limits: Limits) -> None:
        """Count bytes of a file that already has `own` bytes. Raises NoRoomForUpload.

        The largest file is bounded elsewhere. So a file that is alone always has room.
        """
        held, total = self.held_bytes[organization_id], self.held_bytes.total()
        if held > own and held + size > limits.upload_bytes_per_organization:
            raise NoRoomForUpload(of_organization=True)
        if total > own and total + size > limits.upload_bytes_at_once:
            raise NoRoomForUpload(of_organization=False)
        self.held_bytes[organization_id] += size

    def release(self, organization_id: int, size: int) -> None:
        """Stop counting the bytes of a file that is closed."""
        _subtract(self.held_bytes, organization_id, size)


def _subtract(counter: Counter[int], key: int, count: int) -> None:
    counter[key] -= count
    if not counter[key]:
        del counter[key]


class _Spool:
    """Hashes and writes blocks in pieces. For a large file it does so in a thread."""

    def __init__(self, file: BinaryIO, free_bytes: int) -> None:
        """Leave at least `free_bytes` on the disk."""
        self._file = file
        self._free_bytes = free_bytes
        self._digest = hashlib.sha256()
        self._size = 0
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    async def add(self, block: bytes) -> None:
        """Take one block. Raises TooLittleDisk."""
        self._pending.append(block)
        self._pending_bytes += len(block)
        if self._pending_bytes >= _PIECE_BYTES:
            await self._flush()

    async def finish(self) -> ReceivedFile:
        """Write the rest. Raises TooLittleDisk."""
        await self._flush()
        self._file.seek(0)
        return ReceivedFile(self._file, self._digest.hexdigest())

    async def _flush(self) -> None:
        content = b"".join(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        self._size += len(content)
        if self._size < _PIECE_BYTES:
            self._store(content)
        else:
            await asyncio.to_thread(self._store, content)

    def _store(self, content: bytes) -> None:
        self._digest.update(content)
        try:
            if self._size >= _PIECE_BYTES:
                free = shutil.disk_usage(tempfile.gettempdir()).free
                if free < self._free_bytes + len(content):
                    raise TooLittleDisk
            self._file.write(content)
        except OSError:
            raise TooLittleDisk from None


@asynccontextmanager
async def receive_file(
    blocks: AsyncIterator[bytes], organization_id: int, uploads: Uploads, limits: Limits
) -> AsyncIterator[ReceivedFile]:
    """Yield the file once it is complete, and close it at the end.

    Raises TooManyUploads before anything is read, and NoRoomForUpload or TooLittleDisk meanwhile.
    """
    received = 0
    with tempfile.SpooledTemporaryFile(_PIECE_BYTES) as file:
        spool = _Spool(cast("BinaryIO", file), limits.upload_free_bytes)
        try:
            with uploads.occupy(organization_id, limits):
                async for block in blocks:
                    uploads.hold(organization_id, len(block), received, limits)
                    received += len(block)
                    await spool.add(block)
                complete = await spool.finish()
            yield complete
        finally:
            uploads.release(organization_id, received)


class InTime:
    """Blocks that must come fast enough.

    The whole may take `upload_grace_seconds`, and longer only while it comes at `upload_bytes_per_second` on average.
    """

    def __init__(self, blocks: AsyncIterator[bytes], limits: Limits) -> None:
        """Start to measure the time."""
        self._blocks = blocks
        self._limits = limits
        self._deadline = time.monotonic() + limits.upload_grace_seconds

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Return the next block. Raises UploadTooSlow."""
        pause = min(self._limits.upload_pause_seconds, self._deadline - time.monotonic())
        try:
            async with asyncio.timeout(max(0.0, pause)):
                block = await anext(self._blocks)
        except TimeoutError:
            raise UploadTooSlow from None
        self._deadline += len(block) / self._limits.upload_bytes_per_second
        return block
