"""Messages of the command line name its options, not the API's parameters."""

from typing import Any

import pytest

from app.cli.wording import describe_refusal, describe_unreadable_file
from app.imports.errors import (
    IncompleteFeed,
    NoRows,
    TooManyDeactivations,
    UnidentifiedRows,
    UnreadableCsv,
)
from app.imports.guards import Missing
from app.imports.problems import describe_guard


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (
            TooManyDeactivations(12, 2328, 1800, "20%", 9000),
            "The limit is 1,800 (20%). Nothing was changed. To apply it anyway, use --max-deactivations 2340.",
        ),
        (TooManyDeactivations(1, 0, 0, "0", 9000), "The limit is 0. Nothing"),
        (UnidentifiedRows(17, 1), "Line 17 does not say"),
        (UnidentifiedRows(17, 2000), "2,000 rows do not say"),
    ],
)
def test_refused_import_is_told_which_option_allows_it(reason: Any, said: str) -> None:
    sentence = describe_refusal(describe_guard(reason))
    assert said in sentence
    assert "=" not in sentence
    assert "_" not in sentence


@pytest.mark.parametrize(
    "error",
    [NoRows(), IncompleteFeed("The file is cut off on line 3.", 3), UnreadableCsv("The file is empty.")],
)
def test_unreadable_file_is_told_which_option_helps(error: UnreadableCsv) -> None:
    sentence = describe_unreadable_file(error)
    assert sentence.startswith(error.detail)
    assert "=" not in sentence
    if type(error) is not UnreadableCsv:
        assert f"--missing {Missing.KEEP}" in sentence or f"--missing {Missing.DEACTIVATE}" in sentence
