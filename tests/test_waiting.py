"""No step of a training waits for the device: nothing is read back from it, apart from the loss of every 50th step and at the
end of an epoch. On a GPU, each wait would cost more than the step. Shown on the CPU, where the same calls are counted."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from test_kill_and_resume import ROWS, Patterns, fits, registry_with
from torch.overrides import TorchFunctionMode

from ltbench.core.spec import techniques_in
from ltbench.engine.batches import Feed
from ltbench.engine.epoch_order import EpochOrder
from ltbench.engine.fit import fit
from ltbench.engine.hidden_mix import HiddenMix
from ltbench.engine.step import Step
from ltbench.executor import Context
from ltbench.registry.registry import Registry
from ltbench.store.store import Store
from ltbench_plugins.mixes import _beta

READS = {
    "item", "tolist", "__bool__", "__int__", "__float__", "__index__", "numpy", "__array__", "nonzero", "argwhere",
    "masked_select", "unique", "equal", "allclose", "bincount",
}  # fmt: skip
"""Calls whose result, or its shape, is known only when the device has done all before them."""
WAITING = {
    "autoaugment": "each image has operations of its own, which run on those images that have drawn them",
    "randaugment": "the same",
    "simaugment": "the same",
    "jiang_augment": "the same",
    "cuda": "the same",
    "supcon": "its views are those of simaugment",
    "kcl": "the same, and it counts the images of a class in the batch",
    "tsc": "the same, and it assigns targets to classes on the CPU",
    "bcl": "its views are those of simaugment",
    "proco": "the same",
    "paco": "the same",
    "label_aware_smooth": "it asks whether classes differ in their images",
}
"""Techniques with a step that waits, and why."""


class Counting(TorchFunctionMode):
    """Notes such calls, with the line that makes them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, None] = {}
        self._depth = 0

    def within(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function whose calls are looked at."""

        def run(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return run

    def apart(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function whose calls are not."""

        def run(*args: Any, **kwargs: Any) -> Any:
            self._depth += 1
            try:
                return function(*args, **kwargs)
            finally:
                self._depth -= 1

        return run

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:  # fmt: skip
        name = getattr(func, "__name__", "")
        if not self._depth and (name in READS or (name == "__getitem__" and _is_mask(args[1]))):
            frame = traceback.extract_stack()[-2]
            self.found[f"{name}: {Path(frame.filename).name}:{frame.lineno}"] = None
        return func(*args, **(kwargs or {}))


def _is_mask(index: object) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, torch.Tensor) and part.dtype == torch.bool for part in parts)


@pytest.fixture(scope="module")
def own() -> Registry:
    return registry_with(Patterns)


@pytest.mark.parametrize("row", ROWS, ids="+".join)
def test_a_step_reads_nothing_from_the_device(
    row: tuple[str, ...], own: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Shares of blends as on a GPU.
    monkeypatch.setattr(_beta, "_PHILOX", len(torch.Generator().get_state()))
    counting = Counting()
    for place, name in ((Feed, "next"), (Step, "run")):
        monkeypatch.setattr(place, name, counting.within(getattr(place, name)))
    # These run on the CPU, once per epoch and with numbers that are there already.
    for place, name in ((EpochOrder, "draw_epoch"), (HiddenMix, "__init__")):
        monkeypatch.setattr(place, name, counting.apart(getattr(place, name)))
    context = Context(store=Store(tmp_path / "store"), registry=own, data_root=tmp_path)
    jobs = fits(row, own, tmp_path)
    for job in jobs:
        fit(job, context)
    used = {part["name"] for job in jobs for segment in job.spec["segments"] for part in techniques_in(segment)}
    assert bool(counting.found) == bool(used & WAITING.keys()), "\n".join(counting.found) or "it waits for nothing"
