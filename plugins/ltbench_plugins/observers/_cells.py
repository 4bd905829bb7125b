"""What tools that show experiments are told of a cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ltbench.observer import CellRecorded


def title(event: CellRecorded) -> str:
    """Return a name of a cell that is unique on a page."""
    setting = event.record["setting"]
    seeds = f"{setting['subset_seed']}-{setting['seed']}"
    return f"{event.label} | {setting['dataset']} {setting['profile']} {setting['imbalance_factor']:g} | {setting['model']} | seed {seeds}"


def parameters(event: CellRecorded) -> dict[str, Any]:
    """Return setting, recipe and techniques as flat names and values."""
    record = event.record
    techniques = {stage: label for stage, label in record["combination"].items() if label}
    return {
        "id": record["id"],
        "techniques": event.label,
        **record["setting"],
        **techniques,
        **_flat("recipe", record.get("recipe", {})),
    }


def numbers(event: CellRecorded) -> dict[str, float]:
    """Return metrics and costs, without those that the cell does not have."""
    record = event.record
    found = {**record["metrics"], **{f"cost.{name}": value for name, value in record.get("cost", {}).items()}}
    return {name: float(value) for name, value in found.items() if value is not None}


def curve(event: CellRecorded) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield the points of the learning curve: number of the point, and its values, the epoch or step among them."""
    lists = {name: values for name, values in event.record.get("curve", {}).items() if isinstance(values, list)}
    for number in range(max(map(len, lists.values()), default=0)):
        yield (
            number,
            {
                f"train.{name}": float(v[number])
                for name, v in lists.items()
                if number < len(v) and v[number] is not None
            },
        )


def _flat(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}.{name}": value for name, value in values.items()}
