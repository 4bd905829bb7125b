"""The scores of the suite `quick` as they were first published, so that tests do not depend on a new run of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ltbench.leaderboard.statistics.row_design import RowDesign

_FILE = Path(__file__).parent / "frozen" / "quick_scores.json"
LABELS: tuple[str, ...] = tuple(json.loads(_FILE.read_text())["scores"])
BASELINE = LABELS.index("baseline")
BALANCED = [row for row, label in enumerate(LABELS) if "cb_sampler" in label]
MIXED = [row for row, label in enumerate(LABELS) if "mixup" in label and "cb_sampler" not in label]
PLAIN = [row for row in range(len(LABELS)) if row not in (*BALANCED, *MIXED)]


def quick_scores(factor: str = "") -> npt.NDArray[np.float64]:
    """Return float [16 rows, 3 seeds] at a factor, or the mean over the three factors."""
    scores = json.loads(_FILE.read_text())["scores"]
    factors = [factor] if factor else ["10", "50", "100"]
    return np.array([[np.mean([scores[label][f][seed] for f in factors]) for seed in "012"] for label in LABELS])


def quick_design(runs: int = 3) -> RowDesign:
    """Return the design of `quick`: a row with test-time augmentation shares the training of the row without it."""
    plain = [label.replace(" + tta", "").replace("tta", "baseline") for label in LABELS]
    kinds = np.array(
        [[int(a == b and i != j) for j, b in enumerate(plain)] for i, a in enumerate(plain)], dtype=np.intp
    )
    paired = RowDesign.paired(len(LABELS), runs)
    return RowDesign(blocks=paired.blocks, kinds=kinds, machines=paired.machines)
