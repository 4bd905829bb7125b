"""Simulations of tables: how often comparisons err, cover and detect.

`python tests/error_rates.py` prints the numbers of docs/reading-a-leaderboard.md.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from quick_scores import BALANCED, BASELINE, LABELS, MIXED, quick_design, quick_scores

from ltbench.leaderboard.statistics.comparisons import compare_rows
from ltbench.leaderboard.statistics.row_design import RowDesign
from ltbench.leaderboard.statistics.simultaneous import range_quantile

Array = npt.NDArray[np.float64]


def design_of(rows: int, blocks: int, views: int = 1, machines: int = 1) -> RowDesign:
    """Return the design of rows of which `views` neighbours share a training, on so many types of machines."""
    training, view = np.arange(rows) // views, np.arange(rows) % views
    low, high = np.minimum(view[:, None], view[None]), np.maximum(view[:, None], view[None])
    together = (training[:, None] == training[None]) & ~np.eye(rows, dtype=bool)
    types = np.tile((np.arange(rows) % machines)[:, None], (1, blocks)).astype(np.intp)
    return RowDesign(
        blocks=np.arange(blocks) + blocks * types,
        kinds=np.where(together, 1 + low * views + high, 0).astype(np.intp),
        machines=types,
    )


def star_of(rows: int, blocks: int, every: int) -> RowDesign:
    """Return the design of rows of which each `every`-th uses the training of the first; no two pairs are of one kind."""
    together = np.arange(rows) % every == 0
    low, high = np.triu_indices(rows, 1)
    kinds = np.zeros((rows, rows), dtype=np.intp)
    there = together[low] & together[high]
    kinds[low[there], high[there]] = kinds[high[there], low[there]] = 1 + np.arange(there.sum())
    paired = RowDesign.paired(rows, blocks)
    return RowDesign(blocks=paired.blocks, kinds=kinds, machines=paired.machines)


def error_rate(
    rows: int, blocks: int, *, tables: int, seed: int, ratio: float = 1.0, views: int = 1, correlation: float = 0.0,
    missing: float = 0.0, machines: int = 1, every: int = 0,
) -> float:  # fmt: skip
    """Return the share of tables of equal rows in which some difference is significant.

    ratio: of the variances of the second half of the rows to the first; correlation: of rows that share a training;
    every: as for `star_of`, in place of views and machines.
    """
    rng, wrong = np.random.default_rng(seed), 0
    design = star_of(rows, blocks, every) if every else design_of(rows, blocks, views, machines)
    training = np.arange(rows) // views if not every else np.where(np.arange(rows) % every, np.arange(rows), 0)
    sd = np.where(np.arange(rows) < (rows + 1) // 2, 1.0, ratio**0.5)[:, None]
    for _ in range(tables):
        values = _noise(rng, training, blocks, correlation) * sd * 0.005 + rng.normal(0.6, 0.02, blocks)
        values[rng.random((rows, blocks)) < missing] = np.nan
        wrong += bool(compare_rows(values, design).significant.any())
    return wrong / tables


def rate_of_a_range_with_own_variances(rows: int, blocks: int, *, tables: int, seed: int) -> float:
    """Return the error rate of a form that is not used: a variance for each pair, and the studentised range."""
    rng, wrong = np.random.default_rng(seed), 0
    first, second = np.triu_indices(rows, 1)
    quantile = range_quantile(rows, blocks - 1)
    for _ in range(tables):
        gaps = (values := rng.normal(size=(rows, blocks)))[first] - values[second]
        wrong += bool((abs(gaps.mean(axis=1)) > quantile * gaps.std(axis=1, ddof=1) / blocks**0.5).any())
    return wrong / tables


def coverage(rows: int, blocks: int, *, tables: int, seed: int) -> float:
    """Return the share of tables in which all intervals hold the true differences; rows differ by up to 10 points."""
    rng, inside = np.random.default_rng(seed), 0
    for _ in range(tables):
        truth = rng.uniform(0.6, 0.7, rows)
        values = truth[:, None] + rng.normal(0, 0.02, blocks) + rng.normal(0, 0.01, (rows, blocks))
        found = compare_rows(values)
        gaps = truth[:, None] - truth[None]
        off = ~np.eye(rows, dtype=bool)
        inside += bool(((found.low <= gaps) & (gaps <= found.high))[off].all())
    return inside / tables


def power_on_quick(*, tables: int, seed: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return how often rows of a replica of `quick` are separated from the baseline: balanced ones, and mixed ones.

    The replica has the means of its rows, and the residual SDs between trainings and between views of one.
    """
    rng, scores, design = np.random.default_rng(seed), quick_scores(), quick_design()
    found = compare_rows(scores, design)
    kinds, apart = found.variances.kinds, ~np.eye(len(LABELS), dtype=bool)
    between, within = (float(found.sd[apart & (kinds == kind)][0]) / 2**0.5 for kind in (0, 1))
    hits = np.zeros(len(LABELS))
    training = np.array([LABELS.index(label.replace(" + tta", "").replace("tta", "baseline")) for label in LABELS])
    for _ in range(tables):
        common = rng.normal(0, (between**2 - within**2) ** 0.5, scores.shape)[training]
        values = scores.mean(axis=1)[:, None] + common + rng.normal(0, within, scores.shape)
        hits += compare_rows(values, design).significant[:, BASELINE]
    rates = dict(zip(LABELS, (hits / tables).tolist(), strict=True))
    return {LABELS[row]: rates[LABELS[row]] for row in BALANCED}, {LABELS[row]: rates[LABELS[row]] for row in MIXED}


def _noise(rng: np.random.Generator, training: npt.NDArray[np.intp], blocks: int, correlation: float) -> Array:
    own = rng.normal(size=(len(training), blocks))
    if len(np.unique(training)) == len(training):
        return own
    common = rng.normal(size=(int(training.max()) + 1, blocks))[training]
    return np.asarray(correlation**0.5 * common + (1 - correlation) ** 0.5 * own)


def main() -> None:
    """Print the error rates for equal rows, for unequal variances and for the pooled form, and the power on `quick`."""
    print("rows x seeds: equal variances, variances 1 and 4 (2,000 tables each, seed 1)")
    for rows in (2, 4, 8, 16, 64):
        for blocks in (3, 5, 9, 10):
            rates = [error_rate(rows, blocks, tables=2000, seed=1, ratio=ratio) for ratio in (1, 4)]
            print(f"{rows} x {blocks}: {rates[0]:.1%}, {rates[1]:.1%}", flush=True)
    print("97 rows x 5 seeds, 20 of them of one training, by correlation: equal variances, variances 1 and 4")
    for correlation in (0.0, 0.5, 0.9):
        rates = [
            error_rate(97, 5, tables=2000, seed=1, ratio=ratio, correlation=correlation, every=5) for ratio in (1, 4)
        ]
        print(f"{correlation}: {rates[0]:.1%}, {rates[1]:.1%}", flush=True)
    print("coverage", {(rows, blocks): coverage(rows, blocks, tables=2000, seed=1) for rows, blocks in ((4, 3), (16, 3), (16, 5), (16, 10))})  # fmt: skip
    for rows in (16, 64):
        rate = rate_of_a_range_with_own_variances(rows, 10, tables=2000, seed=1)
        print(f"studentised range with a variance for each pair, {rows} x 10: {rate:.1%}")
    print("power on quick, 1,000 tables, seed 1:", *power_on_quick(tables=1000, seed=1), sep="\n")


if __name__ == "__main__":
    main()
