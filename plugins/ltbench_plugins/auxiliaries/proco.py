"""Probabilistic contrastive learning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from ltbench import Auxiliary, Meta, Moment, NotTuned, Outputs, Tune, hookimpl
from ltbench.stages import Seen
from ltbench_plugins._notes import WITH_BALANCED_SAMPLERS
from ltbench_plugins.auxiliaries._contrast import SIMCLR, project
from ltbench_plugins.losses._priors import log_prior

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from ltbench.stages import State

_LARGEST = 1e5
"""Of a concentration, as in the authors' code: that of a class with one image is infinite."""
_UNKNOWN = 0.9
"""Length of the mean of a class of which no image was seen yet, as in the authors' code; its direction is random."""


class Proco(Auxiliary, frozen=True):
    """Contrastive term against the estimated distribution of each class instead of the images of a batch.

        term = mean_i -log( prior_y r_iy / sum_c prior_c r_ic ),   r_ic = C_p(kappa_c) / C_p(|kappa_c mu_c + z_i / t|)

    Projected features of norm 1 of each class are assumed to follow a von Mises-Fisher distribution with direction mu,
    concentration kappa and normalising constant C_p; r is the mean of exp(z_i z / t) over it, in closed form. With infinite
    kappa it is `balanced_softmax` on cosines. mu and kappa = R (p - R^2) / (1 - R^2) follow from the mean of the features of
    a class, of length R, in the last epoch (in the current one while there is no last one). The authors' code also
    continues the means of the last epoch in the current one: `running`. Means are of projections after each step.

    The authors use `logit_adjust` as the loss and, for the view of the classifier, AutoAugment and Cutout.

    Source: Du et al., Probabilistic Contrastive Learning for Long-Tailed Visual Recognition, TPAMI 2024, section 3.
    """

    name = "proco"
    doubtful = WITH_BALANCED_SAMPLERS

    temperature: Annotated[float, Meta(gt=0, description="divides the similarities"), Tune(0.03, 0.3, log=True)] = 0.1
    dimension: Annotated[int, Meta(ge=8, description="width p of the projection"), NotTuned("decides the cost")] = 128
    hidden: Annotated[
        int, Meta(ge=2, description="width of the hidden layer of the projection"), NotTuned("decides the cost")
    ] = 512
    running: Annotated[bool, Meta(description="continue the means of the last epoch in the current one")] = False

    @property
    def views(self) -> tuple[str, ...]:
        """Those of SimCLR."""
        return SIMCLR

    def learns(self, features: int, classes: int, counts: Tensor) -> nn.Module | None:
        """Return the projection."""
        from ltbench_plugins.auxiliaries._modules import Projector

        return Projector(features, self.dimension, self.hidden, norm=True)

    def remembers(self, features: int, classes: int, counts: Tensor, generator: Generator) -> State:
        """Return the mean of each class and its number of features, of the last epoch and of the current one."""
        import torch

        means = torch.nn.functional.normalize(torch.randn(classes, self.dimension, generator=generator), dim=1)
        zeros = torch.zeros(classes)
        return {"mean": _UNKNOWN * means, "number": zeros, "next_mean": _UNKNOWN * means, "next_number": zeros.clone()}

    def term(self, views: Sequence[Outputs], labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        """Return the term, float []. views: of SimCLR; labels: int64 [B]; counts: int64 [C]."""
        import torch

        rows, state = project(views[0].own, views), views[0].state
        labels = labels.repeat(len(views))
        new = self._with_batch(state, rows.detach().flatten(0, 1), labels.repeat(len(rows)))
        # The batch itself only counts where there is no last epoch, or for running means.
        means = torch.where((new["number"] > 0)[:, None], new["mean"], new["next_mean"])
        logits = self.log_ratios(rows.double(), means.double()) + log_prior(counts, rows)
        shares = logits.log_softmax(-1)
        return -shares.gather(2, labels[None, :, None].expand(len(rows), -1, 1)).mean().to(rows.dtype)

    def log_ratios(self, rows: Tensor, means: Tensor) -> Tensor:
        """Return log r, float64 [E, M, C]. rows: float64 [E, M, p], of norm 1; means: float64 [C, p]."""
        size = means.norm(dim=1).clamp(max=1)
        kappa = (size * (self.dimension - size**2) / (1 - size**2).clamp(min=1e-12)).clamp(max=_LARGEST)
        along = rows @ (means / size.clamp(min=1e-12)[:, None]).T
        squares = kappa**2 + 2 * kappa * along / self.temperature + self.temperature**-2
        shifted = squares.clamp(min=1e-12).sqrt()
        return _log_inverse_constant(shifted, self.dimension) - _log_inverse_constant(kappa, self.dimension)

    def after_step(self, outputs: Outputs, batch: Any, network: nn.Module, state: State) -> State:
        """Return the means with the features of the batch."""
        rows = project(outputs.own, outputs.views)
        return self._with_batch(state, rows.flatten(0, 1), batch.labels_a.repeat(len(outputs.views) * len(rows)))

    def after_epoch(self, seen: Seen, state: State, moment: Moment) -> State:
        """Return the means of the epoch as those of the last one, except for classes that it did not have."""
        import torch

        had = state["next_number"] > 0
        return {
            "mean": torch.where(had[:, None], state["next_mean"], state["mean"]),
            "number": torch.where(had, state["next_number"], state["number"]),
            "next_mean": state["next_mean"],
            "next_number": torch.zeros_like(state["next_number"]),
        }

    def _with_batch(self, state: State, rows: Tensor, labels: Tensor) -> State:
        """Return the means with these features, float [M, p]."""
        import torch

        of_class = torch.nn.functional.one_hot(labels, len(state["mean"])).to(rows.dtype)
        added = of_class.sum(0)
        of_batch = of_class.T @ rows / added.clamp(min=1)[:, None]
        new = dict(state)
        for which in ("next_", "") if self.running else ("next_",):
            number = state[f"{which}number"] + added
            share = (added / number.clamp(min=1))[:, None]
            new[f"{which}mean"] = torch.lerp(state[f"{which}mean"], of_batch, share)
            new[f"{which}number"] = number
        return new


def _log_inverse_constant(kappa: Tensor, p: int) -> Tensor:
    """Return -log C_p(kappa) up to a constant: log I_v(kappa) - v log kappa for the Bessel function of order v = p/2 - 1.

    By the uniform expansion for large orders (Abramowitz and Stegun, Handbook of Mathematical Functions, 9.7.7); its
    relative error of I is below 1e-4 for p = 8 and below 1e-9 for p = 128.
    """
    order = p / 2 - 1
    root = (1 + (kappa / order) ** 2).sqrt()
    t = 1 / root
    u1 = (3 * t - 5 * t**3) / 24
    u2 = (81 * t**2 - 462 * t**4 + 385 * t**6) / 1152
    u3 = (30375 * t**3 - 369603 * t**5 + 765765 * t**7 - 425425 * t**9) / 414720
    series = u1 / order + u2 / order**2 + u3 / order**3
    return order * (root - (1 + root).log()) - root.log() / 2 + series.log1p()


@hookimpl
def ltbench_auxiliaries() -> list[type[Auxiliary]]:
    return [Proco]
