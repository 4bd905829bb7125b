"""Tests of one group run in one worker, so what they share is made once and their services never meet."""

from __future__ import annotations

import pytest

NAME = "told"


@pytest.mark.xdist_group(NAME)
def test_the_scheduler_is_told_of_groups(request: pytest.FixtureRequest) -> None:
    """A worker tells it by the identifiers of tests; pytest 9.2 with pytest-xdist 3.8 does not, and nothing else fails."""
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("tests are not distributed in groups")
    assert request.node.nodeid.endswith(f"@{NAME}"), "pip install 'pytest<9.2'"
