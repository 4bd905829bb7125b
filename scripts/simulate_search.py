"""Simulate searches and write what they find into the table of docs/searching.md.

    python scripts/simulate_search.py [--check] [--only WORD]

A world has true means of rows, and noise. Those of a committed leaderboard are its means over seeds (the score itself where
there is one pair of seeds); its noise is resampled for every repetition: for each block what its seeds add to all rows, and
for each cell a residual of the additive model of rows and blocks. Both are multiplied by what the fit has taken from
them. Where there is one pair of seeds, the noise is that of `literature-quick`, which has the same data, network and recipe.
Synthetic worlds have normal effects of techniques and pairs, parts of rows, and noise, drawn anew in every repetition.

--check fails, with exit code 5, where the table is out of date. --only prints the worlds whose name has a word.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import argparse
import functools
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ltbench.core.generated_files import read_text, splice
from ltbench.leaderboard.statistics.additive_model import fit
from ltbench.leaderboard.statistics.record_groups import group_records
from ltbench.leaderboard.statistics.score_array import ScoreArray
from ltbench.racing.race import Cell, Race
from ltbench.racing.standing import Block
from ltbench.records.locations import location

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "searching.md"
OUT_OF_DATE = 5
REPETITIONS = 100
SHARE = 0.15
"""Of the cells of the grid, which a procedure may ask for."""
CLOSE = 0.005
"""A row that is not worse than the best by more is as good."""

Floats = npt.NDArray[np.float64]
Rows = tuple[tuple[tuple[str, str], ...], ...]
Score = Callable[[Cell], float]


class World(NamedTuple):
    """What is true."""

    rows: Rows
    blocks: list[Block]
    truth: Floats
    """float [rows, factors]: means."""
    scores: Floats
    """float [rows, blocks]: what a run of a cell gives."""


class Kind(NamedTuple):
    """A kind of world: `draw` returns one for each repetition."""

    name: str
    draw: Callable[[np.random.Generator], World]


# --- worlds ---------------------------------------------------------------------------------------------------------


@functools.cache
def board(name: str) -> ScoreArray:
    """Return the scores of a committed leaderboard."""
    (group,) = group_records(location(ROOT / "leaderboards" / name).records_file().records)
    return ScoreArray.of(group.records)


@functools.cache
def noise(name: str) -> tuple[Floats, Floats]:
    """Return the noise of a leaderboard: of blocks, float [factors, seeds], and of cells, float [factors, rows x seeds]."""
    values = board(name).values
    rows, factors, seeds = values.shape
    mean = values.mean(axis=(0, 2))
    of_blocks = values.mean(axis=0) - mean[:, None]
    rest = values - values.mean(axis=2, keepdims=True) - of_blocks
    # What least squares takes from the variance.
    rest *= (rows * seeds / (rows - 1) / (seeds - 1)) ** 0.5
    return of_blocks * (seeds / (seeds - 1)) ** 0.5, rest.transpose(1, 0, 2).reshape(factors, -1)


def of_board(name: str, noise_of: str, seeds: int, rng: np.random.Generator) -> World:
    """Return a world with the means of a leaderboard and the noise of one."""
    truth = board(name).values.mean(axis=2)
    of_blocks, of_cells = noise(noise_of)
    factors = board(name).factors
    blocks = [Block(factor, (seed, seed)) for seed in range(seeds) for factor in factors]
    columns = []
    for block in blocks:
        at = factors.index(block.factor)
        columns.append(truth[:, at] + rng.choice(of_blocks[at]) + rng.choice(of_cells[at], len(truth)))
    rows = tuple(tuple(sorted(one)) for one in board(name).combinations)
    return World(rows, blocks, truth, np.column_stack(columns))


def synthetic(
    levels: Sequence[int], factors: int, seeds: int, sd: tuple[float, float, float, float], rng: np.random.Generator
) -> World:
    """Return a world of all combinations of stages with so many techniques.

    sd: of techniques, pairs, rows and noise, in points. The seeds add as much to all rows as the noise to one.
    """
    stages = [[None, *((f"stage{i}", f"t{i}.{j}") for j in range(many))] for i, many in enumerate(levels)]
    rows = tuple(tuple(one for one in row if one) for row in itertools.product(*stages))
    draw: dict[object, Floats] = {}

    def effect(what: object, size: float) -> Floats:
        # At each factor it deviates from its mean by half of its variance.
        if what not in draw:
            draw[what] = size / 100 * (rng.normal() + rng.normal(0, 0.5**0.5, factors))
        return draw[what]

    truth = np.array([
        0.7 + sum(effect(one, sd[0]) for one in row) + effect(row, sd[2])
        + sum(effect(pair, sd[1]) for pair in itertools.combinations(row, 2))
        for row in rows
    ])  # fmt: skip
    blocks = [Block(10.0 * (factor + 1), (seed, seed)) for seed in range(seeds) for factor in range(factors)]
    added = rng.normal(0, sd[3] / 100, len(blocks)) + rng.normal(0, sd[3] / 100, (len(rows), len(blocks)))
    return World(rows, blocks, truth, np.tile(truth, seeds) + added)


BOARDS = [
    Kind("quick", functools.partial(of_board, "quick", "quick", 3)),
    Kind("screen", functools.partial(of_board, "screen", "literature-quick", 1)),
    Kind("screen, 5 seeds", functools.partial(of_board, "screen", "literature-quick", 5)),
    Kind("literature-quick", functools.partial(of_board, "literature-quick", "literature-quick", 5)),
]
SYNTHETIC = [
    Kind(f"{name}, noise {sd}", functools.partial(synthetic, levels, factors, seeds, (*effects, sd)))
    for name, levels, factors, seeds, effects in [
        ("2^5 rows", (1,) * 5, 1, 3, (2.0, 0.7, 0.3)),
        ("2^4 rows at 3 factors", (1,) * 4, 3, 3, (2.0, 0.7, 0.3)),
        ("4^4 rows", (3,) * 4, 1, 3, (2.0, 0.7, 0.3)),
        ("5^3 rows at 2 factors, strong pairs", (4,) * 3, 2, 2, (1.5, 1.5, 0.3)),
        ("60 techniques, one by one", (59,), 1, 5, (2.0, 0.0, 0.0)),
    ]
    for sd in (0.5, 1.5)
]


# --- procedures: each returns the row that it recommends, and the cells that it asked for ---------------------------


class Paid:
    """Scores by cell; counts those that were asked for."""

    def __init__(self, world: World, most: int) -> None:
        self.world, self.most = world, most
        self.values = np.full(world.scores.shape, np.nan)
        """float [rows, blocks]: what was paid for, else NaN."""

    def __call__(self, cell: Cell) -> float:
        """Return the score of a cell. Raises `RuntimeError` beyond the number of cells that may be asked for."""
        self.values[cell] = self.world.scores[cell]
        if self.count > self.most:
            raise RuntimeError("more cells were asked for than are allowed")
        return float(self.values[cell])

    @property
    def count(self) -> int:
        """Cells that were asked for."""
        return int(np.isfinite(self.values).sum())


Procedure = Callable[[Paid, np.random.Generator], int]


def search(paid: Paid, _: np.random.Generator) -> int:
    """Return the row that a race recommends."""
    race = Race(paid.world.rows, paid.world.blocks)
    while cells := race.ask(paid.most - paid.count):
        for cell in cells:
            race.tell(cell, paid(cell))
    best = race.best
    assert best is not None
    return best


def random_cells(paid: Paid, rng: np.random.Generator) -> int:
    """Return the row with the best mean of random cells, adjusted for the blocks that it lacks."""
    rows, blocks = paid.world.scores.shape
    for cell in rng.permutation(rows * blocks)[: paid.most].tolist():
        paid(divmod(cell, blocks))
    return best_mean(paid.values)


def one_seed(paid: Paid, rng: np.random.Generator) -> int:
    """Return the best of as many random rows as there are cells for, with one seed at every factor."""
    factors = paid.world.truth.shape[1]
    for row in rng.permutation(len(paid.world.rows))[: paid.most // factors].tolist():
        for block in range(factors):
            paid((row, block))
    return best_mean(paid.values)


def main_effects(paid: Paid, _: np.random.Generator) -> int:
    """Return the row with the best sum of main effects, by least squares from a design of all cells."""
    world = paid.world
    race = Race(world.rows, world.blocks)
    for cell in race.screening(paid.most):
        paid(cell)
    rows, blocks = np.nonzero(np.isfinite(paid.values))
    techniques = sorted({one for row in world.rows for one in row})
    there = np.array([[float(one in row) for one in techniques] for row in world.rows])
    matrix = np.column_stack([there[rows], np.eye(world.scores.shape[1])[blocks]])
    found = np.linalg.lstsq(matrix, paid.values[rows, blocks], rcond=None)[0]
    return int(np.argmax(np.round(there @ found[: len(techniques)], 9)))


def four_known(paid: Paid, _: np.random.Generator) -> int:
    """Return the best mean of the four rows that are truly best, from as many of their cells as are allowed."""
    rows = np.argsort(-paid.world.truth.mean(axis=1), kind="stable")[:4].tolist()
    cells = [(row, block) for block in range(len(paid.world.blocks)) for row in rows]
    for cell in cells[: paid.most]:
        paid(cell)
    return best_mean(paid.values)


def every_cell(paid: Paid, _: np.random.Generator) -> int:
    """Return the row with the best mean of the whole grid, whatever it costs."""
    return int(paid.world.scores.mean(axis=1).argmax())


def best_mean(values: Floats) -> int:
    """Return the row with the best mean, adjusted for blocks that it lacks. values: float [rows, blocks]."""
    blocks = np.tile(np.arange(values.shape[1], dtype=np.intp), (len(values), 1))
    means = fit(values, blocks).means
    return int(np.nanargmax(np.round(means, 9)))


PROCEDURES: dict[str, Procedure] = {
    "search": search,
    "random cells": random_cells,
    "main effects": main_effects,
    "one seed": one_seed,
    "best four known": four_known,
    "whole grid": every_cell,
}


# --- the table ------------------------------------------------------------------------------------------------------


def repetition(kind: int, number: int) -> list[tuple[float, float]]:
    """Return regret, as a fraction, and share of cells of each procedure in a world. kind: index into all kinds."""
    world = [*BOARDS, *SYNTHETIC][kind].draw(np.random.default_rng([kind, number]))
    means = world.truth.mean(axis=1)
    found = []
    for procedure in PROCEDURES.values():
        paid = Paid(world, int(SHARE * world.scores.size))
        row = procedure(paid, np.random.default_rng([kind, number, 1]))
        found.append((float(means.max() - means[row]), paid.count / world.scores.size))
    return found


def results(only: str = "") -> Iterator[tuple[str, Floats]]:
    """Yield the name of each kind of world, and float [repetitions, procedures, 2]."""
    with ProcessPoolExecutor() as pool:
        tasks = [
            (kind.name, [pool.submit(repetition, number, one) for one in range(REPETITIONS)])
            for number, kind in enumerate([*BOARDS, *SYNTHETIC])
            if only in kind.name
        ]
        for name, runs in tasks:
            yield name, np.array([run.result() for run in runs])


def table(only: str = "") -> list[str]:
    """Return the table: shares of repetitions with a row as good as the best, and the mean regret in points."""
    lines = [
        "| world | cells | " + " | ".join(PROCEDURES) + " |",
        "|:---|---:|" + "---:|" * len(PROCEDURES),
    ]
    for name, found in results(only):
        regret = found[:, :, 0]
        entries = [f"{100 * (one <= CLOSE + 1e-9).mean():.0f} % ({100 * one.mean():.2f})" for one in regret.T]
        lines.append(f"| {name} | {100 * found[:, 0, 1].mean():.1f} % | " + " | ".join(entries) + " |")
    return lines


def main() -> int:
    """Write the table, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="fail where the table is out of date")
    parser.add_argument("--only", help="print the rows of the worlds whose name has this word")
    options = parser.parse_args()
    if options.only is not None:
        print("\n".join(table(options.only)))
        return 0
    text = splice(read_text(PAGE), "simulation", lambda _: ["", *table(), ""], PAGE.name)
    if text == read_text(PAGE):
        return 0
    if options.check:
        print(f"{PAGE.name} is out of date; run: python scripts/simulate_search.py", file=sys.stderr)
        return OUT_OF_DATE
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
