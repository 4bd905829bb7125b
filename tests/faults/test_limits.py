"""Jobs that hang or take ever more memory: killed, tried again, and nobody else notices."""

from __future__ import annotations

from pathlib import Path

import pytest
from dask_processes import executor_options
from trial import Trial

TRIES = 20


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["local", "dask"])
@pytest.mark.parametrize(
    ("does", "limit", "said"),
    [
        ("hang", ("--timeout", "3s"), "worker took more than 3 s"),
        ("leak", ("--memory", "300MB"), "of memory, above the limit of 300 MB"),
    ],
)
def test_a_job_that_passes_a_limit_is_killed_and_tried_again(
    does: str, limit: tuple[str, str], said: str, kind: str, undisturbed: Trial, tmp_path: Path
) -> None:
    trial = Trial(tmp_path, does=does, times=TRIES)
    with executor_options(kind, trial) as where:
        output = trial.run("--retries", str(TRIES), *limit, *where)
    assert len(trial.lines(does)) == TRIES
    assert output.count(said) >= TRIES
    trial.check(undisturbed, lost=output.count("trying again"))
