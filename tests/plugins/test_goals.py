"""What the notes of a suite say of its goals is what its committed records say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ltbench.records.records_file import read_records_file
from ltbench.registry.registry import Registry
from ltbench.suite.suite import find_suite

LEADERBOARDS = Path(__file__).parents[2] / "leaderboards"
SAID = {
    (True, True): "both are reached",
    (True, False): "the first is reached, the second is missed",
    (False, True): "the first is missed, the second is reached",
    (False, False): "both are missed",
}


def best_accuracies(name: str) -> tuple[float, float] | None:
    """Return the accuracy of cross-entropy and of the best single technique, means over runs; None without records."""
    file = LEADERBOARDS / name / "records.jsonl"
    if not file.exists():
        return None
    rows: dict[tuple[str, ...], list[float]] = {}
    for record in read_records_file(file).records:
        if record.setting.imbalance_factor == 100 and record.metrics:
            rows.setdefault(tuple(filter(None, record.combination.values())), []).append(record.metrics["top1"])
    means = {techniques: sum(values) / len(values) for techniques, values in rows.items() if len(techniques) <= 1}
    return means.pop(()), max(means.values())


@pytest.mark.parametrize("name", ["cifar10-lt", "cifar100-lt"])
def test_the_notes_say_which_goals_are_reached(name: str, registry: Registry) -> None:
    notes = find_suite(name, registry).notes
    goals = re.search(
        r"The goal at this cost (?:was|is) ([\d.]+) % for cross-entropy and ([\d.]+) % for the best", notes
    )
    assert goals is not None
    said = [text for text in SAID.values() if text in notes]
    reached = best_accuracies(name)
    if reached is None:
        assert said == []
    else:
        plain, best = (100 * value >= float(goal) for value, goal in zip(reached, goals.groups(), strict=True))
        assert said == [SAID[plain, best]]
