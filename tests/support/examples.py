"""How many examples Hypothesis draws for a test with a database: all of them in CI, some at a developer's desk."""

import os

from hypothesis import settings

# At a desk the tests are run again and again, and Hypothesis draws other examples each time.
_SHARE = 1 if os.environ.get("CI") else 4


def limit_examples(number: int) -> settings:
    """Return the settings of a test that draws `number` examples in CI."""
    return settings(max_examples=-(-number // _SHARE))
