"""Weights of experts by the agreement of two views of test images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from ltbench import Meta, NotTuned, Posthoc, Tune, hookimpl

if TYPE_CHECKING:
    from ltbench.stages import FloatArray, IntArray


class SadeAggregation(Posthoc, frozen=True):
    """Weigh experts so that the predictions for two views of a test image agree.

    An expert that knows a class well predicts it alike under small changes of the image. With the predictions y_v = softmax(
    sum_e w_e z_ve) for views v, the weights maximise the mean of y_1 . y_2 over all test images, by gradient ascent from equal
    weights; w is the softmax of free parameters. More than two views are compared in pairs. No label is used, but all test
    images are, so the row is transductive.

    The authors draw two random augmentations for each batch of test images; here the views are those of the view
    technique, such as the flip of `tta`. Their code maximises the cosine of y_1 and y_2 and stops when a weight falls to 0.05;
    here ascent stops after `steps` steps.

    Source: Zhang et al., Self-Supervised Aggregation of Diverse Experts for Test-Agnostic Long-Tailed Recognition, NeurIPS
    2022, test-time self-supervised aggregation and theorem 1.
    """

    name = "sade_aggregation"
    transductive = True
    needs: ClassVar = {"branches": "it weighs experts", "view": "it compares views of a test image"}

    steps: Annotated[int, Meta(ge=1, description="steps of gradient ascent"), NotTuned("decides the cost")] = 50
    rate: Annotated[
        float, Meta(gt=0, description="size of a step, in the parameters of the softmax"), Tune(0.25, 4.0, log=True)
    ] = 1.0

    def adjust(self, logits: FloatArray, counts: IntArray) -> FloatArray:
        """Return the logits unchanged. logits: float [N, C]."""
        return logits

    def branch_weights(self, logits: FloatArray) -> FloatArray | None:
        """Return the weights, float [E]. logits: float [V, E, N, C]; None for a single view."""
        import numpy as np

        if len(logits) < 2:
            return None
        free = np.zeros(logits.shape[1])
        for _ in range(self.steps):
            weights = _softmax(free)
            gradient = _gradient(logits, weights)
            free = free + self.rate * weights * (gradient - weights @ gradient)
        return _softmax(free)


def _softmax(values: FloatArray) -> FloatArray:
    import numpy as np

    raised: FloatArray = np.exp(values - values.max(-1, keepdims=True))
    shares: FloatArray = raised / raised.sum(-1, keepdims=True)
    return shares


def _gradient(logits: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the gradient of the mean agreement with respect to the weights, float [E]."""
    import numpy as np

    views, _, images, _ = logits.shape
    predicted = _softmax(np.einsum("e,venc->vnc", weights, logits))
    total = np.zeros(len(weights))
    for first in range(views):
        for second in range(views):
            if first != second:
                agreement = (predicted[first] * predicted[second]).sum(1, keepdims=True)
                by_logit = predicted[first] * (predicted[second] - agreement)
                total += np.einsum("nc,enc->e", by_logit, logits[first])
    gradient: FloatArray = 2 * total / (images * views * (views - 1))
    return gradient


@hookimpl
def ltbench_posthocs() -> list[type[Posthoc]]:
    return [SadeAggregation]
