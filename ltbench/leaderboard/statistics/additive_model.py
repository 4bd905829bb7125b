"""The additive model of a table: score = row + block + rest, by least squares, with cells missing anywhere.

A block is one pair of seeds on one type of machine: its subset, initial weights and order of images are common to all
rows. With every cell there, the estimates are the means of the rows. Otherwise a row that lacks a hard block does not
look better for it: rows are compared within blocks, directly and through other rows. Source: the intrablock analysis
of incomplete block designs, John and Williams, Cyclic and Computer Generated Designs (1995), ch. 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from ltbench.leaderboard.statistics.estimates import Floats

_NEGLIGIBLE = 1e-9


class AdditiveModel(msgspec.Struct, frozen=True, kw_only=True):
    """Least-squares estimates of rows."""

    means: Floats
    """float [rows]: means adjusted for the blocks that a row lacks; NaN for a row without a number."""
    inverse: Floats
    """float [rows, rows]: a generalised inverse; c' inverse c is the variance of a contrast c of rows, in units of that
    of a single score."""
    parts: npt.NDArray[np.intp]
    """int [rows]: rows with different numbers share no block, not even through others; -1 without a number."""
    df: int
    """Degrees of freedom of the residuals."""
    square: float
    """Residual mean square; NaN without a degree of freedom."""


_DECIMALS = 12
"""Of the means of an incomplete design."""


def fit(values: Floats, blocks: npt.NDArray[np.intp]) -> AdditiveModel:
    """Fit the model. values: float [rows, runs], NaN where missing; blocks: int [rows, runs], number of the block."""
    from scipy import sparse
    from scipy.sparse import csgraph

    known = np.isfinite(values)
    _, block = np.unique(blocks[known], return_inverse=True)
    row = np.nonzero(known)[0]
    many, count = len(values), int(block.max(initial=-1)) + 1
    cells = np.zeros((many, count))
    np.add.at(cells, (row, block), 1.0)
    per_row, per_block = cells.sum(axis=1), cells.sum(axis=0)
    scores = np.where(known, values, 0.0)
    filled = scores[known]
    # Rows and blocks as one graph: what is connected can be compared.
    graph = sparse.bmat([[None, sparse.csr_matrix(cells)], [sparse.csr_matrix(cells.T), None]]) if count else None
    labels = csgraph.connected_components(graph, directed=False)[1][:many] if graph is not None else np.zeros(many, int)
    parts = np.where(per_row > 0, labels, -1).astype(np.intp)
    complete = bool(known.all()) and count == values.shape[1]
    if complete:
        means = values.mean(axis=1)
        inverse = (np.eye(many) - 1 / many) / count
        rest = values - means[:, None] - (values.mean(axis=0) - means.mean())
        df = (many - 1) * (count - 1)
        return AdditiveModel(means=means, inverse=inverse, parts=parts, df=df, square=_mean_square(rest, df))
    block_sum = np.zeros(count)
    np.add.at(block_sum, block, filled)
    information = np.diag(per_row) - (cells / per_block) @ cells.T
    inverse = np.linalg.pinv(information, hermitian=True, rcond=_NEGLIGIBLE)
    deviations = inverse @ (scores.sum(axis=1) - (cells / per_block) @ block_sum)
    block_means = (block_sum - cells.T @ deviations) / per_block
    means = np.full(many, np.nan)
    for part in np.unique(parts[parts >= 0]):
        mine = parts == part
        # Over all blocks alike: the mean of a row that lacks none is then that of its scores.
        means[mine] = deviations[mine] + block_means[cells[mine].any(axis=0)].mean()
    # The last bits depend on the kernel that BLAS picks for the processor, and would order equal rows.
    means = means.round(_DECIMALS)
    components = len(np.unique(parts[parts >= 0]))
    df = int(known.sum()) - int((per_row > 0).sum()) - count + components
    rest = filled - deviations[row] - block_means[block]
    return AdditiveModel(means=means, inverse=inverse, parts=parts, df=df, square=_mean_square(rest, df))


def _mean_square(rest: Floats, df: int) -> float:
    return float((rest**2).sum() / df) if df > 0 else np.nan


def comparable(parts: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Return bool [rows, rows]: whether the model compares two rows."""
    return np.asarray((parts[:, None] == parts[None]) & (parts[:, None] >= 0))
