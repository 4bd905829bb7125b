"""Accuracy and F1: overall, per class, and by number of training images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ltbench import Column, Metric, hookimpl
from ltbench.confusion import Confusion
from ltbench.longtail import FEW, MANY

if TYPE_CHECKING:
    from ltbench.stages import FloatArray, IntArray


class Classification(Metric, frozen=True):
    """Accuracy, F1 and the confusion matrix, overall, per class and per group of classes.

    The prediction is the class with the highest probability; ties go to the lowest label. The accuracy of a class is its
    recall. `many`, `medium` and `few` are the mean accuracies of the classes with more than 100, 20 to 100 and fewer
    than 20 training images. `head_third`, `middle_third` and `tail_third` are thirds of the classes by number of
    training images, so that no third is empty. `sd_classes` is the population standard deviation of class accuracies.
    `worst_class` is the lowest accuracy of any class. Its noise is that of few images: from n of them an accuracy of p has
    a standard error of sqrt(p (1 - p) / n), 5 points for n = 100 and p = 0.5, and the lowest of many noisy accuracies is
    below the lowest true one. Compare rows by it only over several seeds.

    As in scikit-learn with `zero_division=0`, the precision of a class that is never predicted is 0, and macro F1 is
    the mean over the classes that occur among labels or predictions. Accuracy and recall of a class without test images
    are None and are left out of means; a group without classes is None.

    Source: the groups are those of Liu et al., "Large-Scale Long-Tailed Recognition in an Open World", CVPR 2019;
    the spread across classes is that of report park.
    """

    name = "classification"
    # Declared second, as in table.csv; `order` puts it after the spread in the folded table.
    columns = (
        Column(
            name="top1", title="top-1", long_title="Top-1 accuracy", shown="main", priority=1000,
            description="Fraction of test images that are classified correctly.",
        ),
        Column(
            name="macro_f1", title="F1", long_title="Macro F1", order=1, priority=31,
            description="Mean F1 score (harmonic mean of precision and recall) of the classes.",
        ),
        Column(
            name="many", title="many", long_title="Many", shown="main", priority=40,
            description=f"Mean accuracy of the classes with more than {MANY} training images.",
        ),
        Column(
            name="medium", title="med.", long_title="Medium", shown="main", priority=41,
            description=f"Mean accuracy of the classes with {FEW} to {MANY} training images.",
        ),
        Column(
            name="few", title="few", long_title="Few", shown="main", priority=43,
            description=f"Mean accuracy of the classes with fewer than {FEW} training images.",
        ),
        Column(
            name="head_third", title="head", long_title="Head third", priority=11,
            description="Mean accuracy of the third of classes with the most training images.",
        ),
        Column(
            name="middle_third", title="middle", long_title="Middle third", priority=10,
            description="Mean accuracy of the middle third of classes by number of training images.",
        ),
        Column(
            name="tail_third", title="tail", long_title="Tail third", priority=12,
            description="Mean accuracy of the third of classes with the fewest training images.",
        ),
        Column(
            name="worst_class", title="worst", long_title="Worst-class accuracy", shown="main", priority=42,
            description="Lowest accuracy of any class.",
        ),
        Column(
            name="sd_classes", title="SD", long_title="SD across classes", higher_is_better=False, priority=32,
            description="Standard deviation of the accuracies of the classes.",
        ),
        # Same as recall, under the name that figures use.
        Column(name="per_class.accuracy", title="accuracy", shown="export"),
        Column(name="per_class.precision", title="precision"),
        Column(name="per_class.recall", title="recall"),
        Column(name="per_class.f1", title="F1"),
        Column(name="per_class.support", title="support", unit="plain", shown="export"),
    )  # fmt: skip

    def compute(self, probabilities: FloatArray, labels: IntArray, counts: IntArray) -> Mapping[str, object]:
        import numpy as np

        from ltbench.longtail import groups, thirds

        confusion = Confusion.of(labels, probabilities.argmax(axis=1), len(counts))
        hits, support, guesses = confusion.hits, confusion.support, confusion.predictions
        accuracy, precision, f1 = confusion.recall(), confusion.precision(), confusion.f1()
        known = [a for a in accuracy if a is not None]

        def mean_over(members: list[int]) -> float | None:
            values = [a for c in members if (a := accuracy[c]) is not None]
            return float(np.mean(values)) if values else None

        by_count, by_rank = groups(counts), thirds(counts)
        return {
            "top1": int(hits.sum()) / len(labels),
            "macro_f1": float(np.mean([f for f, g, s in zip(f1, guesses, support, strict=True) if g + s])),
            **{name: mean_over(by_count[name]) for name in ("many", "medium", "few")},
            **{f"{name}_third": mean_over(by_rank[name]) for name in ("head", "middle", "tail")},
            "worst_class": min(known),
            "sd_classes": float(np.std(known)),
            "per_class.accuracy": accuracy,
            "per_class.precision": precision,
            "per_class.recall": accuracy,
            "per_class.f1": f1,
            "per_class.support": support.tolist(),
            "confusion": confusion,
        }


@hookimpl
def ltbench_metrics() -> list[type[Metric]]:
    return [Classification]
