"""`rollcall import` compares usernames and refuses hidden characters as the API does."""

# ruff: noqa: RUF001  letters that look like others are what is tested here

from pathlib import Path

import pytest

from tests.support.command_line import counts, run
from tests.support.service import Api

pytestmark = pytest.mark.anyio


async def test_file_finds_the_learner_by_another_spelling_and_names_a_hidden_character(
    api: Api, tmp_path: Path
) -> None:
    learner = await api.create(username="Jo hn ada")
    file = tmp_path / "roster.csv"
    file.write_text("Username,First Name\njo\u00a0hn  ａda,Mary\u00a0 Ann\na\u00adb,Ada\n")

    finished = await run(api, "import", file)

    assert finished.status == 1
    assert counts(finished) == {"changed": 1, "invalid": 1}
    assert "must not contain U+00AD (SOFT HYPHEN). Remove it." in finished.stderr
    assert (await api.get(learner))["first_name"] == "Mary Ann"
