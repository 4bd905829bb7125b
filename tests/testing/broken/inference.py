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


@breaks("views_keep_the_shape")
class Centre(SoundView, frozen=True):
    """Look at the centre alone. Source: none."""

    name = "centre"

    def views(self):
        return {"centre": lambda images: images[..., 1:-1, 1:-1]}


@breaks("identity_view_is_unchanged")
class MirrorInDisguise(SoundView, frozen=True):
    """Call a mirror image the image as it is. Source: none."""

    name = "mirror_in_disguise"

    def views(self):
        return {"identity": lambda images: images.flip(-1)}


@breaks("does_not_use_global_randomness")
class RandomShift(SoundView, frozen=True):
    """Shift by chance. Source: none."""

    name = "random_shift"

    def views(self):
        import torch

        return {"shifted": lambda images: images.roll(int(torch.randint(8, ())), -1)}


@breaks("merges_to_probabilities")
class Logits(SoundView, frozen=True):
    """Return logits where probabilities are expected. Source: none."""

    name = "logits"

    def merge(self, logits):
        return logits.mean(0)


@breaks("merges_to_probabilities")
class ExpOfAll(SoundView, frozen=True):
    """Let the exponential overflow. Source: none."""

    name = "exp_of_all"

    def merge(self, logits):
        import numpy as np

        with np.errstate(all="ignore"):
            raised = np.exp(logits[0] * 2)
            return raised / raised.sum(1, keepdims=True)


# --- posthoc ----------------------------------------------------------------------------------------------------


@breaks("adjusted_logits_are_finite")
class LogOfNothing(Posthoc, frozen=True):
    """Take the logarithm of counts as they are. Source: none."""

    name = "log_of_nothing"

    def adjust(self, logits, counts):
        import numpy as np

        with np.errstate(divide="ignore"):
            return logits - np.log(counts / counts.sum())


@breaks("adjustment_is_per_image")
class OfTheTestSet(Posthoc, frozen=True):
    """Take the mean over the test images off. Source: none."""

    name = "of_the_test_set"

    def adjust(self, logits, counts):
        return logits - logits.mean(0)


# --- ensembles --------------------------------------------------------------------------------------------------


class SoundEnsemble(Ensemble, frozen=True):
    """Average two seeds. Source: none."""

    name = "sound_ensemble"

    def members(self, counts):
        return [Member(), Member(seed_offset=1)]

    def merge(self, probabilities):
        return probabilities.mean(0)


@breaks("members_are_distinct")
class Twins(SoundEnsemble, frozen=True):
    """Have two members that are one. Source: none."""

    name = "twins"

    def members(self, counts):
        return [Member(), Member()]


@breaks("members_are_distinct")
class NumbersOfMembers(SoundEnsemble, frozen=True):
    """Have no member where there are many classes. Source: none."""

    name = "numbers_of_members"

    def members(self, counts):
        return [Member(seed_offset=number) for number in range(0 if min(counts) == 0 else 2)]

    def merge(self, probabilities):
        return probabilities.mean(0) if len(probabilities) else None


@breaks("members_name_models")
class AsksForItself(SoundEnsemble, frozen=True):
    """Have itself for a member. Source: none."""

    name = "asks_for_itself"

    def members(self, counts):
        return [Member(), Member(model="asks_for_itself[size=2]")]


@breaks("members_name_models")
class AsksForALoss(SoundEnsemble, frozen=True):
    """Have a loss for a member. Source: none."""

    name = "asks_for_a_loss"

    def members(self, counts):
        return [Member(), Member(model="focal")]


@breaks("bags_are_training_images")
class BagOfAll(SoundEnsemble, frozen=True):
    """Fill bags with one image too many. Source: none."""

    name = "bag_of_all"

    def members(self, counts):
        return [Member(bag=0), Member(bag=1)]

    def bag(self, number, labels, rng):
        import numpy as np

        return np.arange(len(labels) + 1)


@breaks("merges_to_probabilities")
class SumOfMembers(SoundEnsemble, frozen=True):
    """Add probabilities up. Source: none."""

    name = "sum_of_members"

    def merge(self, probabilities):
        return probabilities.sum(0)


# --- metrics ----------------------------------------------------------------------------------------------------


@breaks("values_are_finite_or_none")
class MeanOfNothing(Metric, frozen=True):
    """Average over the classes of no test image. Source: none."""

    name = "mean_of_nothing"

    def compute(self, probabilities, labels, counts):
        import numpy as np

        hits = probabilities.argmax(1) == labels
        with np.errstate(all="ignore"):
            support = np.bincount(labels, minlength=len(counts))
            return {"mean_recall": float((np.bincount(labels, hits, len(counts)) / support).mean())}


@breaks("values_are_finite_or_none")
class ListForTwo(Metric, frozen=True):
    """Have two numbers per class, however many there are. Source: none."""

    name = "list_for_two"

    def compute(self, probabilities, labels, counts):
        return {"per_class.share": [0.5, 0.5]}


@breaks("metric_ignores_image_order")
class FirstImage(Metric, frozen=True):
    """Look at the first image. Source: none."""

    name = "first_image"

    def compute(self, probabilities, labels, counts):
        return {"first": float(probabilities[0, labels[0]])}


@breaks("columns_have_numbers")
class MisspeltColumn(Metric, frozen=True):
    """Declare a column of a number that is not there. Source: none."""

    name = "misspelt_column"
    columns = (Column(name="mean_confidense", title="conf."),)

    def compute(self, probabilities, labels, counts):
        return {"mean_confidence": float(probabilities.max(1).mean())}
