"""Broken views, posthoc adjustments, ensembles and metrics."""

from __future__ import annotations

from testing.broken.marks import breaks

from ltbench import Column, Ensemble, Member, Metric, Posthoc, View


def softmax(logits):
    import numpy as np

    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


# --- views ------------------------------------------------------------------------------------------------------


class SoundView(View, frozen=True):
    """Look once. Source: none."""

    name = "sound_view"

    def views(self):
        return {"identity": lambda images: images}

    def merge(self, logits):
        return softmax(logits).mean(0)


@breaks("views_keep_the_shape", SoundView, "views")
def centre(self):
    """Look at the centre alone."""
    return {"centre": lambda images: images[..., 1:-1, 1:-1]}


@breaks("identity_view_is_unchanged", SoundView, "views")
def mirror_in_disguise(self):
    """Call a mirror image the image as it is."""
    return {"identity": lambda images: images.flip(-1)}


@breaks("does_not_use_global_randomness", SoundView, "views")
def random_shift(self):
    """Shift by chance."""
    import torch

    return {"shifted": lambda images: images.roll(int(torch.randint(8, ())), -1)}


@breaks("merges_to_probabilities", SoundView, "merge")
def logits(self, logits):
    """Return logits where probabilities are expected."""
    return logits.mean(0)


@breaks("merges_to_probabilities", SoundView, "merge")
def exp_of_all(self, logits):
    """Let the exponential overflow."""
    import numpy as np

    with np.errstate(all="ignore"):
        raised = np.exp(logits[0] * 2)
        return raised / raised.sum(1, keepdims=True)


# --- posthoc ----------------------------------------------------------------------------------------------------


@breaks("adjusted_logits_are_finite", Posthoc, "adjust")
def log_of_nothing(self, logits, counts):
    """Take the logarithm of counts as they are."""
    import numpy as np

    with np.errstate(divide="ignore"):
        return logits - np.log(counts / counts.sum())


@breaks("adjustment_is_per_image", Posthoc, "adjust")
def of_the_test_set(self, logits, counts):
    """Take the mean over the test images off."""
    return logits - logits.mean(0)


@breaks("adjustment_is_per_image")
class NeedlesslyTransductive(Posthoc, frozen=True):
    """Say that it looks at all test images, and look at none. Source: none."""

    name = "needlessly_transductive"
    transductive = True

    def adjust(self, logits, counts):
        return 2 * logits


class SoundFit(Posthoc, frozen=True):
    """Take the mean logit of held-out images off, per class. Source: none."""

    name = "sound_fit"
    evidence = frozenset({"held_out"})

    def fit(self, evidence):
        return evidence.held_out.logits.mean(0)

    def adjust_with(self, state, predicted, counts, classifier):
        return predicted.logits - state


@breaks("in_torch_adjusts_alike", SoundFit, "in_torch")
def other_formula(self, state, counts, classifier, classes):
    """Add in torch what numpy takes off."""
    import torch

    return lambda logits, features: logits + torch.tensor(state, dtype=torch.float32)


@breaks("in_torch_adjusts_alike", SoundFit, "in_torch")
def not_traced(self, state, counts, classifier, classes):
    """Compute with numpy in between, where nothing can be traced."""
    import torch

    return lambda logits, features: torch.tensor(logits.numpy() - state, dtype=torch.float32)


@breaks("evidence_has_an_effect", SoundFit, "fit")
def fitted_to_nothing(self, evidence):
    """Ask for held-out images, and look at none."""
    return 1.0


@breaks("evidence_has_an_effect")
class UnusedFeatures(SoundFit, frozen=True):
    """Ask for features, and look at logits alone. Source: none."""

    name = "unused_features"
    evidence = frozenset({"held_out", "features"})


@breaks("evidence_has_an_effect")
class FeaturesOfNothing(SoundFit, frozen=True):
    """Ask for features, and for no images. Source: none."""

    name = "features_of_nothing"
    evidence = frozenset({"features"})

    def fit(self, evidence):
        return evidence.classifier.weights.mean(1)


@breaks("fit_ignores_image_order", SoundFit, "fit")
def fitted_to_the_first(self, evidence):
    """Take the logits of the first held-out image off."""
    return evidence.held_out.logits[0]


# --- ensembles --------------------------------------------------------------------------------------------------


class SoundEnsemble(Ensemble, frozen=True):
    """Average two seeds. Source: none."""

    name = "sound_ensemble"

    def members(self, counts):
        return [Member(), Member(seed_offset=1)]

    def merge(self, probabilities):
        return probabilities.mean(0)


@breaks("members_are_distinct", SoundEnsemble, "members")
def twins(self, counts):
    """Have two members that are one."""
    return [Member(), Member()]


@breaks("members_are_distinct")
class NumbersOfMembers(SoundEnsemble, frozen=True):
    """Have no member where there are many classes. Source: none."""

    name = "numbers_of_members"

    def members(self, counts):
        return [Member(seed_offset=number) for number in range(0 if min(counts) == 0 else 2)]

    def merge(self, probabilities):
        return probabilities.mean(0) if len(probabilities) else None


@breaks("members_name_models", SoundEnsemble, "members")
def asks_for_itself(self, counts):
    """Have itself for a member."""
    return [Member(), Member(model="asks_for_itself[size=2]")]


@breaks("members_name_models", SoundEnsemble, "members")
def asks_for_a_loss(self, counts):
    """Have a loss for a member."""
    return [Member(), Member(model="focal")]


@breaks("members_train_what_they_can", SoundEnsemble, "members")
def after_the_end(self, counts):
    """Take a network from after the end of the training."""
    return [Member(), Member(until=1.5)]


@breaks("members_train_what_they_can", SoundEnsemble, "members")
def ends_before_it_begins(self, counts):
    """Have a member that trains nothing."""
    return [Member(), Member(until=0.0)]


@breaks("members_train_what_they_can", SoundEnsemble, "members")
def has_another_view(self, counts):
    """Have a member with a view of its own."""
    return [Member(), Member(techniques=("tta",))]


@breaks("members_train_what_they_can", SoundEnsemble, "members")
def trains_with_nothing(self, counts):
    """Have a member with a technique that nobody has."""
    return [Member(), Member(techniques=("no_such_technique",))]


@breaks("bags_are_training_images")
class BagOfAll(SoundEnsemble, frozen=True):
    """Fill bags with one image too many. Source: none."""

    name = "bag_of_all"

    def members(self, counts):
        return [Member(bag=0), Member(bag=1)]

    def bag(self, number, labels, rng):
        import numpy as np

        return np.arange(len(labels) + 1)


@breaks("merges_to_probabilities", SoundEnsemble, "merge")
def sum_of_members(self, probabilities):
    """Add probabilities up."""
    return probabilities.sum(0)


# --- metrics ----------------------------------------------------------------------------------------------------


@breaks("values_are_finite_or_none", Metric, "compute")
def mean_of_nothing(self, probabilities, labels, counts):
    """Average over the classes of no test image."""
    import numpy as np

    hits = probabilities.argmax(1) == labels
    with np.errstate(all="ignore"):
        support = np.bincount(labels, minlength=len(counts))
        return {"mean_recall": float((np.bincount(labels, hits, len(counts)) / support).mean())}


@breaks("values_are_finite_or_none", Metric, "compute")
def list_for_two(self, probabilities, labels, counts):
    """Have two numbers per class, however many there are."""
    return {"per_class.share": [0.5, 0.5]}


@breaks("metric_ignores_image_order", Metric, "compute")
def first_image(self, probabilities, labels, counts):
    """Look at the first image."""
    return {"first": float(probabilities[0, labels[0]])}


@breaks("columns_have_numbers")
class MisspeltColumn(Metric, frozen=True):
    """Declare a column of a number that is not there. Source: none."""

    name = "misspelt_column"
    columns = (Column(name="mean_confidense", title="conf."),)

    def compute(self, probabilities, labels, counts):
        return {"mean_confidence": float(probabilities.max(1).mean())}
