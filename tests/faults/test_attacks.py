from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attacks
import fuzz
import pytest

LEADERBOARDS = Path(__file__).parents[2] / "leaderboards"


@pytest.mark.slow
@pytest.mark.parametrize("attack", [attacks.concurrent_merges, attacks.concurrent_withdrawals])
def test_commands_that_write_one_page_at_once_lose_nothing(
    attack: Callable[[Path, int, int], attacks.Tally], tmp_path: Path
) -> None:
    tally = attack(tmp_path, 2, 6)
    assert tally.tried == 2
    assert not tally.lost, tally.lost


@pytest.mark.slow
def test_what_strangers_send_replaces_and_says_nothing(tmp_path: Path) -> None:
    tally = attacks.forged_merges(tmp_path, 1, 0)
    assert tally.tried == 9
    assert not tally.lost, tally.lost


@pytest.mark.slow
@pytest.mark.parametrize("page", ["report-park-fast", "quick-tuned", "probe"])
def test_no_forged_record_or_page_ends_a_command_in_a_traceback(page: str, tmp_path: Path) -> None:
    found: list[str] = []
    counts = fuzz.fuzz(tmp_path, LEADERBOARDS / page, rounds=15, seed=0, tell=found.append)
    assert counts["commands"] > 200
    assert not found, found[0]
