"""Takes the file out of a form (multipart/form-data, RFC 7578) while it comes in.

The form is read only as far as its first part that is not the file, and nothing is kept but one block. Unlike the
framework's own reader, it decodes nothing with a character set that the client names.
"""

from collections.abc import AsyncIterator
from typing import Self

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from app.imports.errors import UnreadableForm
from app.platform.media_types import parse_header_value

PART = "file"


class FormFile:
    """The bytes of a form's only part, the file. `disposition` and `content_type` are the part's fields."""

    def __init__(self, boundary: str, blocks: AsyncIterator[bytes]) -> None:
        """Read the form in `blocks`. Raises UnreadableForm if no form can have this boundary."""
        self.disposition = ""
        self.content_type = ""
        self._form = blocks
        self._names: list[str] = []
        self._is_complete = False
        self._content: list[bytes] = []
        self._field = bytearray()
        self._value = bytearray()
        try:
            self._parser = MultipartParser(
                boundary.encode("latin-1", "replace"),
                {
                    "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._begin_part,
                    "on_part_data": lambda data, start, end: self._content.append(data[start:end]),
                    "on_end": self._end,
                },
            )
        except FormParserError:
            raise UnreadableForm from None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Return some bytes of the file. Raises UnreadableForm."""
        while not self._content:
            try:
                self._parser.write(await anext(self._form))
            except FormParserError:
                raise UnreadableForm from None
            except StopAsyncIteration:
                if not self._is_complete or not self._names:
                    raise UnreadableForm from None
                raise
        content = b"".join(self._content)
        self._content.clear()
        return content

    def _end_header(self) -> None:
        name, value = self._field.lower(), self._value.decode("latin-1")
        if name == b"content-disposition":
            self.disposition = value
        elif name == b"content-type":
            self.content_type = value
        self._field.clear()
        self._value.clear()

    def _begin_part(self) -> None:
        parsed = parse_header_value(self.disposition)
        self._names.append("" if parsed is None else parsed.parameters.get("name", ""))
        if self._names != [PART]:
            raise UnreadableForm(self._names)

    def _end(self) -> None:
        self._is_complete = True
