"""Top-k accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from ltbench import Column, Meta, Metric, hookimpl

if TYPE_CHECKING:
    from ltbench.stages import FloatArray, IntArray

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


class MyMetric(Metric, frozen=True):
    """Fraction of images whose class is among the k most probable ones; ties count as correct.

    Source: FILL IN (authors, title, year, equation).
    """

    name = "my_metric"
    columns = (
        Column(
            name="my_metric",
            title="top-k",
            description="Fraction of images whose class is among the k most probable ones.",
        ),
    )

    k: Annotated[int, Meta(ge=1, description="number of guesses")] = 2

    def compute(self, probabilities: FloatArray, labels: IntArray, counts: IntArray) -> Mapping[str, object]:
        """Return the number by its name. probabilities: float [N, C]; labels: int64 [N]; counts: int64 [C]."""
        true_class = probabilities[range(len(labels)), labels]
        better = (probabilities > true_class[:, None]).sum(1)
        return {self.name: float((better < self.k).mean())}


@hookimpl
def ltbench_metrics() -> list[type[Metric]]:
    return [MyMetric]
