"""Classifier whose class weights have norm 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench import Head, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn


class NormFree(Head, frozen=True):
    """Linear classifier whose class weights have norm 1, without a bias; features keep their norm.

    The norms of class weights grow with class size, which favours frequent classes; here they cannot. `tau_norm[tau=1]`
    does the same after training.

    Source: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR 2020, section 4 (the
    weights of the tau-normalised classifier with tau = 1, here during training).
    """

    name = "norm_free"

    def build(self, features: int, classes: int, counts: Tensor) -> nn.Module:
        """Return the classifier: features float [B, D] -> logits float [B, C]. counts: int64 [C], not used."""
        from ltbench_plugins.heads._layers import UnitWeightLayer

        return UnitWeightLayer(features, classes)


@hookimpl
def ltbench_heads() -> list[type[Head]]:
    return [NormFree]
