"""The file in a form, whatever the form and the blocks in which it comes."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.imports.errors import UnreadableForm
from app.imports.forms import FormFile

# Much of what a reader of forms looks for.
CONTENTS = st.lists(
    st.sampled_from([b"\r", b"\n", b"-", b"--", b"\r\n--here", b"--her", b"a,b", b"\x00\xff"])
).map(b"".join)
PART = b'Content-Disposition: form-data; name="file"; filename="r.csv"\r\nContent-Type: text/csv\r\n\r\n'


def split(form: bytes, size: int) -> Iterator[bytes]:
    return (form[start : start + size] for start in range(0, len(form), size))


def read(form: bytes, boundary: str = "here", size: int = 7) -> tuple[bytes, FormFile]:
    async def read_all() -> tuple[bytes, FormFile]:
        async def blocks() -> AsyncIterator[bytes]:
            for block in split(form, size):
                yield block

        file = FormFile(boundary, blocks())
        return b"".join([block async for block in file]), file

    return anyio.run(read_all)


@given(CONTENTS, st.integers(1, 30), st.sampled_from([b"", b"\r\n", b"epilogue"]))
def test_file_comes_out_as_it_went_in(content: bytes, size: int, epilogue: bytes) -> None:
    # A boundary is one only after a line break.
    content = content.replace(b"\r\n--here", b"\r\n--her")
    form = b"--here\r\n" + PART + content + b"\r\n--here--" + epilogue

    found, file = read(form, size=size)

    assert found == content
    assert (file.content_type, file.disposition) == (
        "text/csv",
        'form-data; name="file"; filename="r.csv"',
    )


@given(st.binary(max_size=100), st.integers(1, 30), st.sampled_from(["here", "", "\xff", "ж", "x" * 300]))
def test_no_bytes_are_an_error_of_another_kind(form: bytes, size: int, boundary: str) -> None:
    for each in (form, b"--here\r\n" + form, b"--here\r\n" + PART + form):
        try:
            read(each, boundary, size)
        except UnreadableForm:
            continue


@pytest.mark.parametrize(
    ("form", "parts"),
    [
        (b"", None),
        (b"--here--\r\n", None),
        (b"--here\r\n" + PART + b"a", None),
        (b"--here\r\n" + PART + b"a\r\n--here\r\n", None),
        (b"--here\r\nA: b\r\n\r\na\r\n--here--", [""]),
        (b"--here\r\n" + PART.replace(b"file", b"other") + b"a", ["other"]),
        (b"--here\r\n" + PART + b"a\r\n--here\r\n" + PART, ["file", "file"]),
        (b"--here\r\n" + PART.replace(b'"file"', b'"file'), [""]),
        (b"--here\r\n" + b"A: b\r\n" * 20 + PART, None),
        (b"--here\r\nA: " + b"b" * 10_000 + b"\r\n" + PART, None),
        (b"--here\r\nContent-Disposition: form-data" + b";" * 4000 + b"\r\n\r\n", [""]),
    ],
)
def test_form_without_exactly_one_file_is_refused_at_its_first_fault(form: bytes, parts: Any) -> None:
    with pytest.raises(UnreadableForm) as refused:
        read(form)

    assert refused.value.parts == parts
