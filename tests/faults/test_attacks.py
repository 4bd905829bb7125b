from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attacks
import pytest


@pytest.mark.slow
@pytest.mark.parametrize("attack", [attacks.concurrent_merges, attacks.concurrent_withdrawals])
def test_commands_that_write_one_page_at_once_lose_nothing(
    attack: Callable[[Path, int, int], attacks.Tally], tmp_path: Path
) -> None:
    tally = attack(tmp_path, 2, 6)
    assert tally.tried == 2
    assert not tally.lost, tally.lost
