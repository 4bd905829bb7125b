"""RIDE's diversity of experts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from ltbench import Auxiliary, Meta, NotTuned, Tune, hookimpl
from ltbench.errors import JobFailed

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ltbench import Moment, Outputs


_NO_BOUND = "the divergence grows without bound on unbounded logits"


class RideDiversity(Auxiliary, frozen=True):
    """KL divergences between the predictions of experts, with a negative weight.

    So experts learn to disagree, most about rare classes. The divergence has no bound, so the logits need one: the
    authors have a cosine head of scale 30. With a linear layer trainings diverge.

    The mean of KL(p_i || p_j) over the other experts j, summed over the experts i. p is the softmax of the logits
    divided by a temperature of each class, lower for rare ones: of the shares psi_c = gamma C n_c / N + 1 - gamma,

        T_c = temperature (psi_c + 1 - max psi)

    `against = "mean"` is the form of the authors' code: the sum over experts of KL(p || p_i) with the prediction p of the
    merged logits, which gets no gradient, times the square of the mean temperature, with T_c = temperature psi_c / max
    psi. Its temperatures of classes start with the re-weighting, at epoch 160 of 200 (at = 0.8); before, T_c =
    temperature. The code's default weight is -0.2; its configurations for CIFAR-100 have -0.45.

    Source: Wang et al., Long-tailed Recognition by Routing Diverse Distribution-Aware Experts, ICLR 2021, section 3.2.
    """

    name = "ride_diversity"
    needs: ClassVar = {
        "branches": "experts disagree with each other",
        "head": f"{_NO_BOUND} of a linear layer; as in the paper, use cosine[scale=30]",
    }
    conflicts: ClassVar = {"norm_free": _NO_BOUND}

    weight: Annotated[
        float, Meta(lt=0, description="factor of the term; negative, so that the divergence grows"), Tune(-0.6, -0.1)
    ] = -0.2
    temperature: Annotated[
        float, Meta(gt=0, description="temperature of the most frequent class"), Tune(0.5, 2.0, log=True)
    ] = 1.0
    gamma: Annotated[
        float, Meta(ge=0, le=0.25, description="how much temperatures follow class counts"), Tune(0.02, 0.1)
    ] = 0.05
    at: Annotated[
        float,
        Meta(ge=0, lt=1, description="part of the training before temperatures follow the counts"),
        NotTuned("belongs to the form of the authors' code"),
    ] = 0.0
    against: Annotated[
        Literal["experts", "mean"], Meta(description="what an expert is compared with; mean in the authors' code")
    ] = "experts"

    def without_effect(self) -> tuple[str, ...]:
        return () if self.gamma else ("at",)

    def learns(self, features: int, classes: int, counts: Tensor) -> nn.Module | None:
        """Learn nothing. Raises `JobFailed` if the temperature of a class will not be positive."""
        temperatures = self._temperatures(counts, counts.float(), follow=True)
        if not bool((temperatures > 0).all()):
            raise JobFailed(
                f"auxiliary '{self.label}' has a temperature of {float(temperatures.min()):.2g} for the rarest class",
                why="the most frequent class has too large a share of the images for this gamma",
                fix=f"{self.name}[gamma={self.gamma / 2:g}]",
            )
        return None

    def term(self, views: Sequence[Outputs], labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        """Return the term, float []."""
        import torch

        branches = views[0].branches
        experts = len(branches)
        temperatures = self._temperatures(counts, branches, follow=moment.progress >= self.at)
        log_p = (branches / temperatures).log_softmax(2)
        if self.against == "mean":
            mean = (views[0].logits.detach() / temperatures).log_softmax(1)
            return temperatures.mean() ** 2 * _divergence(mean, log_p).sum(0).mean()
        pairs = [_divergence(log_p[i], log_p[j]) for i in range(experts) for j in range(experts) if i != j]
        return torch.stack(pairs).sum(0).mean() / max(experts - 1, 1)

    def _temperatures(self, counts: Tensor, like: Tensor, *, follow: bool) -> Tensor:
        """Return the temperature of each class, [C]. follow: whether they follow the counts."""
        share = counts.to(like.dtype) / counts.sum()
        psi = self.gamma * len(counts) * share + 1 - self.gamma
        if not follow:
            psi = psi.new_ones(len(psi))
        return self.temperature * (psi / psi.max() if self.against == "mean" else psi + 1 - psi.max())


def _divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return KL(p || q) of log-probabilities [..., C], [...]."""
    return (log_p.exp() * (log_p - log_q)).sum(-1)


@hookimpl
def ltbench_auxiliaries() -> list[type[Auxiliary]]:
    return [RideDiversity]
