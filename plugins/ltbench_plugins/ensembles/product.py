"""Products of probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from ltbench import Ensemble, Member, Meta, NotTuned, hookimpl

if TYPE_CHECKING:
    from ltbench.stages import FloatArray


class Product(Ensemble, frozen=True):
    """Train networks from several seeds and multiply their probabilities (product of experts).

    `p_c = (prod_m p_mc) / (sum_k prod_m p_mk)` over the members m: a class that one member excludes is excluded. With
    `merge = "geometric_mean"` the product is replaced by its M-th root, the geometric mean of the M members, which predicts
    the same classes with less confidence; for a single view it is the softmax of the mean logits. The members are those of
    `seed_ensemble`.

    Source: Hinton, Training Products of Experts by Minimizing Contrastive Divergence, Neural Computation 2002, equation 1.
    """

    name = "product"

    size: Annotated[int, Meta(ge=2, description="number of members"), NotTuned("decides the cost")] = 5
    merge_by: Annotated[Literal["product", "geometric_mean"], Meta(description="how probabilities are merged")] = (
        "product"
    )

    def members(self, counts: Sequence[int]) -> list[Member]:
        """Return the members; they do not depend on the class counts."""
        return [Member(seed_offset=number) for number in range(self.size)]

    def merge(self, probabilities: FloatArray) -> FloatArray:
        """Return the normalised products, float [N, C], of the probabilities of the members, float [members, N, C]."""
        import numpy as np

        # In logarithms, as a product of small numbers would underflow; a probability of zero stays the smallest.
        logs = np.log(np.maximum(probabilities, np.finfo(probabilities.dtype).tiny))
        total = logs.sum(0) if self.merge_by == "product" else logs.mean(0)
        powers = np.exp(total - total.max(axis=1, keepdims=True))
        merged: FloatArray = powers / powers.sum(axis=1, keepdims=True)
        return merged


@hookimpl
def ltbench_ensembles() -> list[type[Ensemble]]:
    return [Product]
