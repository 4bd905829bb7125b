"""The attacks of `attacks.py`, each once or twice: nothing may be lost. What cannot be tried here skips with its reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from faults import attacks, fuzz
from faults.attacks_by_techniques import failing_techniques
from faults.attacks_on_runs import FILES, struck_runs
from faults.attacks_on_workers import open_workers
from faults.tally import Tally

LEADERBOARDS = Path(__file__).parents[2] / "leaderboards"
ELSEWHERE = {attacks.forged_pages, failing_techniques, open_workers, struck_runs}
"""Attacks that have tests of their own."""


def check(tally: Tally) -> None:
    if not tally.tried:
        pytest.skip(tally.not_run)
    assert not tally.lost, str(tally)


@pytest.mark.slow
@pytest.mark.parametrize("attack", [attack for attack in attacks.ATTACKS if attack not in ELSEWHERE])
def test_nothing_is_lost(attack: Callable[[Path, int, int], Tally], tmp_path: Path) -> None:
    check(attack(tmp_path, 1, 6))


@pytest.mark.slow
@pytest.mark.parametrize("page", ["report-park-fast", "quick-tuned", "probe"])
def test_no_forged_record_or_page_ends_a_command_in_a_traceback(page: str, tmp_path: Path) -> None:
    found: list[str] = []
    counts = fuzz.fuzz(tmp_path, LEADERBOARDS / page, rounds=15, seed=0, tell=found.append)
    assert counts["commands"] > 200
    assert not found, found[0]


@pytest.mark.slow
def test_what_techniques_raise_costs_their_own_cells(tmp_path: Path) -> None:
    tally = failing_techniques(tmp_path, 1, 0)
    check(tally)
    assert tally.tried > 70


def test_nobody_else_can_command_workers_that_ltbench_starts(tmp_path: Path) -> None:
    tally = open_workers(tmp_path, 1, 0)
    check(tally)
    assert tally.tried == 15


def test_the_table_has_all_tests_that_strike_runs() -> None:
    here = Path(__file__).parent
    assert sorted(path.stem for path in here.glob("test_*.py")) == sorted(
        f"test_{name}" for name in (*FILES, "attacks")
    )


def test_an_unknown_attack_is_named() -> None:
    with pytest.raises(SystemExit, match="unknown: none; there are: concurrent_merges"):
        attacks.main(["nowhere", "1", "1", "none"])
