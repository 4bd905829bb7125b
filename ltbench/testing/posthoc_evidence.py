"""Made-up predictions of images, to fit and apply a posthoc."""

from __future__ import annotations

from typing import Any

from ltbench.stages import Evidence, LinearClassifier, Posthoc, Predicted
from ltbench.testing.inputs import BATCH, Inputs

FEATURES = 6
"""Width of made-up features."""


def linear_classifier(inputs: Inputs, *, features: bool = False) -> LinearClassifier:
    """Return norms and bias of a made-up classifier, and with features its weights."""
    norms = 0.5 + inputs.rng(5).random(inputs.classes)
    bias = inputs.array("bias", inputs.rng(6).standard_normal(inputs.classes))
    rows = inputs.rng(7).standard_normal((inputs.classes, FEATURES))
    weights = rows * (norms / (rows**2).sum(1) ** 0.5)[:, None]
    return LinearClassifier(inputs.array("norms", norms), bias, inputs.array("weights", weights) if features else None)


def predicted(inputs: Inputs, seed: int, *, features: bool, labels: bool, images: int = BATCH) -> Predicted:
    """Return made-up predictions of images."""
    drawn = inputs.rng(seed + 20).integers(inputs.classes, size=images)
    return Predicted(
        logits=inputs.array("logits", inputs.logits(images, seed)),
        features=inputs.array("features", inputs.rng(seed).standard_normal((images, FEATURES))) if features else None,
        labels=inputs.array("labels", drawn) if labels else None,
    )


def evidence(technique: Posthoc, inputs: Inputs, seed: int = 30) -> Evidence:
    """Return made-up evidence of the kinds that a posthoc uses."""
    used = technique.uses()
    features = "features" in used
    # More images than classes, so that most classes have one; a class without is tested, too.
    splits = {
        split: predicted(inputs, seed + number, features=features, labels=True, images=4 * BATCH)
        for number, split in enumerate(("held_out", "train"))
        if split in used
    }
    counts = inputs.array("counts", inputs.class_counts)
    return Evidence(counts=counts, classifier=linear_classifier(inputs, features=features), **splits)


def adjusted(technique: Posthoc, inputs: Inputs, given: Evidence | None, images: Predicted) -> Any:
    """Return the logits that a posthoc makes of predictions. given: what it is fitted to, if it uses evidence."""
    state = technique.fit(given) if technique.uses() and given is not None else None
    classifier = linear_classifier(inputs, features="features" in technique.uses())
    return technique.adjust_with(state, images, inputs.array("counts", inputs.class_counts), classifier)
