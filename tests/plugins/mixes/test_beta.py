"""Shares of blends: both ways of drawing them give the beta distribution, also where a share is almost always 0 or 1."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import scipy.stats
import torch
from torch import Generator, Tensor

from ltbench_plugins.mixes._beta import beta_of_gammas, draw_beta

Draw = Callable[[float, int, Tensor, Generator], Tensor]
LIKE = torch.zeros(())


@pytest.mark.parametrize("draw", [draw_beta, beta_of_gammas])
@pytest.mark.parametrize("alpha", [0.01, 0.2, 1.0, 4.0])
def test_the_distribution_is_that_of_beta(draw: Draw, alpha: float) -> None:
    drawn = draw(alpha, 4000, LIKE, Generator().manual_seed(0))
    assert drawn.dtype == torch.float32
    # What float32 rounds to 0 or 1 lies within the first or last cell.
    edges = [0.0, 1e-6, 0.01, 0.1, 0.5, 0.9, 0.99, 1 - 1e-6, 1.0]
    counts = torch.histogram(drawn.double(), torch.tensor(edges, dtype=torch.float64)).hist
    shares = scipy.stats.beta(alpha, alpha).cdf(edges)
    expected = 4000 * (shares[1:] - shares[:-1])
    likely = expected > 5
    rest = [sum(counts[torch.tensor(~likely)]), sum(expected[~likely])]
    observed, wanted = [*counts[torch.tensor(likely)].tolist(), float(rest[0])], [*expected[likely], rest[1]]
    if not wanted[-1]:
        observed, wanted = observed[:-1], wanted[:-1]
    statistic = sum((one - other) ** 2 / other for one, other in zip(observed, wanted, strict=True))
    assert scipy.stats.chi2(len(wanted) - 1).sf(statistic) > 1e-3


@pytest.mark.parametrize("draw", [draw_beta, beta_of_gammas])
def test_a_generator_gives_the_same_draws_again(draw: Draw) -> None:
    first, again = (draw(0.3, 8, LIKE, Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, draw(0.3, 8, LIKE, Generator().manual_seed(6)))
