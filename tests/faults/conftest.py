from __future__ import annotations

from collections.abc import Iterator

import pytest
from trial import Trial, kill_leftovers, undisturbed_trial


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    yield
    kill_leftovers()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return undisturbed_trial(tmp_path_factory.mktemp("undisturbed"))
