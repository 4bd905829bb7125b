"""Stacking of different networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from ltbench import Ensemble, Member, Meta, NotTuned, hookimpl
from ltbench.errors import ParameterError
from ltbench_plugins.ensembles._average import Average

_SIZE = 3


class Stacking(Average, frozen=True):
    """Train several networks on all images and average their probabilities.

    `models` lists the architectures, one member each, as in the report: `stacking[models=resnet32+convnet9]`. Without it
    there are `size` members of the cell's model with different seeds; the first is the plain training with the cell's
    seed and is not trained again. All members use the cell's techniques; with a weight, this is "stacking / WL" of the
    report. The report calls it stacking, although all networks have the same weight and no model is trained to combine
    them.

    Source: report wong, "Ensemble Training: Stacking" and figure 7.
    """

    name = "stacking"

    models: Annotated[tuple[str, ...], Meta(description="models, one member each: a+b+c")] = ()
    size: Annotated[
        int, Meta(ge=2, description="number of members if `models` is empty"), NotTuned("decides the cost")
    ] = _SIZE

    def check(self) -> None:
        if self.models and self.size != _SIZE:
            raise ParameterError("ensemble 'stacking' takes models or size, not both: each model is one member")
        if len(self.models) == 1 or len(set(self.models)) < len(self.models):
            raise ParameterError(
                f"ensemble 'stacking' does not accept models = {'+'.join(self.models)}: two or more different ones",
                fix="stacking[size=2] for several members of the cell's own model",
            )

    def members(self, counts: Sequence[int]) -> list[Member]:
        """Return the members; they do not depend on the class counts."""
        if self.models:
            return [Member(model=model) for model in self.models]
        return [Member(seed_offset=number) for number in range(self.size)]


@hookimpl
def ltbench_ensembles() -> list[type[Ensemble]]:
    return [Stacking]
