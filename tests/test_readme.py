"""What the README says of the configuration, the commands and the files, held against them."""

import re
from pathlib import Path

import pytest

from app.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text below the heading `## title`, up to the next one."""
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The rows of the table in this text, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_configuration_is_that_of_the_settings() -> None:
    assert rows(section("Configuration")) == [
        [
            f"`ROLLCALL_{name.upper()}`",
            f"`{str(field.default).lower() if field.annotation is bool else field.default}`",
            str(field.description),
        ]
        for name, field in Settings.model_fields.items()
    ]


def test_the_commands_are_those_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z]+):.*## (.+)$", makefile, re.MULTILINE)

    assert rows(section("Working on it")) == [[f"`make {name}`", what] for name, what in targets]


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"\b(?:app|migrations|tests|bench|examples)/[\w./]*|\.ci/\w+", README)))
)
def test_every_file_that_is_named_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def test_every_answer_stands_below_the_call_that_gives_it() -> None:
    blocks = re.findall(r"^```(\w+)$", README, re.MULTILINE)

    assert set(blocks) == {"sh", "python", "json", "text"}
    for call, answer in zip(blocks[1::2], blocks[2::2], strict=True):
        assert call in ("sh", "python")
        assert answer in ("json", "text")
