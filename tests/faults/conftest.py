from __future__ import annotations

from collections.abc import Iterator

import pytest
from trial import Trial, kill_leftovers


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    yield
    kill_leftovers()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    trial = Trial(tmp_path_factory.mktemp("undisturbed"))
    trial.run("--executor", "inline")
    trial.publish()
    return trial
