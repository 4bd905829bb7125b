"""Checks of posthoc adjustments: of the logits they return, and of what they are fitted to."""

from __future__ import annotations

from ltbench.stages import Evidence, Predicted
from ltbench.testing.check import per_setting
from ltbench.testing.finding import Skip
from ltbench.testing.inputs import Inputs, with_rare
from ltbench.testing.posthoc_evidence import adjusted, evidence, linear_classifier, predicted
from ltbench.testing.subject import Subject, failed


@per_setting
def adjusted_logits_are_finite(on: Subject) -> None:
    """Adjusted logits are finite and [N, C], also for classes with a single training image or none.

    Also tested with a class whose classifier weights are all zero.
    """
    import msgspec

    from ltbench.jobs.plugin_calls import adjust_checked

    technique, features = on.technique, "features" in on.technique.uses()
    for inputs in (Inputs(), Inputs(counts=with_rare())):
        whole = linear_classifier(inputs, features=features)
        for least in (whole.norms[-1], 0.0):
            classifier = msgspec.structs.replace(whole, norms=inputs.array("norms", [*whole.norms[:-1], least]))
            given = msgspec.structs.replace(evidence(technique, inputs), classifier=classifier)
            state = technique.fit(given) if technique.uses() else None
            images = predicted(inputs, 1, features=features, labels=False)
            adjust_checked(on.provenance, technique, state, images, inputs.class_counts, classifier)


@per_setting
def adjustment_is_per_image(on: Subject) -> None:
    """The adjusted logits of an image do not depend on the other test images, unless `transductive` says so.

    A deployed classifier sees one image at a time. The rows of a transductive technique are marked.
    """
    import msgspec
    import numpy as np

    inputs, technique = Inputs(), on.technique
    given = evidence(technique, inputs)
    images = predicted(inputs, 1, features="features" in technique.uses(), labels=False)
    part = msgspec.structs.replace(
        images,
        logits=images.logits[::3].copy(),
        features=None if images.features is None else images.features[::3].copy(),
    )
    together, alone = (np.asarray(adjusted(technique, inputs, given, one)) for one in (images, part))
    same = np.allclose(together[::3], alone, rtol=1e-6, atol=1e-8)
    branches = inputs.array("branches", [[inputs.logits(seed=10 * v + e) for e in range(3)] for v in range(2)])
    weights, fewer = technique.branch_weights(branches), technique.branch_weights(branches[:, :, ::3].copy())
    same = same and (weights is None or np.allclose(weights, fewer, rtol=1e-6, atol=1e-8))
    if not same and not technique.transductive:
        raise failed(
            "the logits of an image depend on the other images",
            "no dependence",
            "compute row by row, or set transductive = True",
        )
    if same and technique.transductive:
        raise failed("transductive is set, but no image depends on another one", "some dependence", "remove it")


@per_setting
def evidence_has_an_effect(on: Subject) -> None:
    """The result depends on each kind of evidence that `uses` returns: `held_out`, `train`, `features`.

    What is asked for is computed for every network, which takes time.
    """
    import msgspec
    import numpy as np

    inputs, technique = Inputs(), on.technique
    used = technique.uses()
    if unknown := sorted(set(used) - {"held_out", "train", "features"}):
        raise failed(f"it uses {', '.join(unknown)}", "held_out, train or features", "correct evidence")
    if "features" in used and not used & {"held_out", "train"}:
        raise failed("it uses features of no images", "held_out or train, too", "correct evidence")
    images = predicted(inputs, 1, features="features" in used, labels=False)
    first = evidence(technique, inputs)
    before = np.asarray(adjusted(technique, inputs, first, images))
    for kind in sorted(used):
        others = [evidence(technique, inputs, seed) for seed in range(40, 60, 2)]
        if kind == "features":
            # The same images and labels with other features.
            changed = [msgspec.structs.replace(first, **_with_features(first, other)) for other in others]
        else:
            changed = [msgspec.structs.replace(first, **{kind: getattr(other, kind)}) for other in others]
        if all(np.array_equal(before, np.asarray(adjusted(technique, inputs, given, images))) for given in changed):
            raise failed(f"the evidence '{kind}' has no effect", "other logits for other evidence", "do not ask for it")


def _with_features(evidence: Evidence, other: Evidence) -> dict[str, Predicted]:
    import msgspec

    return {
        split: msgspec.structs.replace(part, features=getattr(other, split).features)
        for split in ("held_out", "train")
        if (part := getattr(evidence, split)) is not None
    }


@per_setting
def fit_ignores_image_order(on: Subject) -> None:
    """What a posthoc is fitted to does not depend on the order of the images in the evidence.

    The order is that of the files of a data set, which says nothing about the images.
    """
    import msgspec
    import numpy as np

    inputs, technique = Inputs(), on.technique
    if not technique.uses():
        return
    images = predicted(inputs, 1, features="features" in technique.uses(), labels=False)
    given = evidence(technique, inputs)
    parts = {}
    for split in ("held_out", "train"):
        if (part := getattr(given, split)) is not None:
            order = inputs.rng(10).permutation(len(part.labels))
            rows = {name: getattr(part, name) for name in ("logits", "features", "labels")}
            arrays = {name: value[order] for name, value in rows.items() if value is not None}
            parts[split] = msgspec.structs.replace(part, **arrays)
    shuffled = msgspec.structs.replace(given, **parts)
    before, after = (np.asarray(adjusted(technique, inputs, one, images)) for one in (given, shuffled))
    if not np.allclose(before, after, rtol=1e-6, atol=1e-8):
        raise failed("fit depends on the order of the images", "equal results", "pair each row with its label")


@per_setting
def in_torch_adjusts_alike(on: Subject) -> None:
    """The function that `in_torch` returns gives the logits that `adjust_with` gives, and `torch.export` can trace it.

    Programs that an exported model is written as contain it.
    """
    import numpy as np
    import torch

    inputs, technique = Inputs(counts=with_rare()), on.technique
    given = evidence(technique, inputs)
    state = technique.fit(given) if technique.uses() else None
    features = "features" in technique.uses()
    classifier = linear_classifier(inputs, features=features)
    names = [str(number) for number in range(inputs.classes)]
    function = technique.in_torch(state, inputs.class_counts, classifier, names)
    if function is None:
        raise Skip("in_torch returns None")
    images = predicted(inputs, 1, features=features, labels=False)
    expected = np.asarray(technique.adjust_with(state, images, inputs.class_counts, classifier))
    tensors = tuple(
        torch.tensor(part, dtype=torch.float32)
        for part in (images.logits, images.features if features else images.logits)
    )
    found = function(*tensors)
    if found.shape != expected.shape or not np.allclose(found.numpy(), expected, rtol=1e-4, atol=1e-4):
        raise failed("in_torch gives other logits than adjust_with", "the same", "write the same formula for tensors")

    class Adjusting(torch.nn.Module):
        def forward(self, logits: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = function(logits, features)
            return result

    try:
        torch.export.export(Adjusting(), tensors, strict=False)
    except Exception as error:
        raise failed(
            f"torch.export cannot trace in_torch: {type(error).__name__}",
            "a function of tensors",
            "use functions of torch",
        ) from error


POSTHOC = (
    adjusted_logits_are_finite, adjustment_is_per_image, evidence_has_an_effect, fit_ignores_image_order,
    in_torch_adjusts_alike,
)  # fmt: skip
