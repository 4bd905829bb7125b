"""Losses, sound as such, that lack what every technique has to hold."""

from __future__ import annotations

import itertools
import random
from typing import Annotated, ClassVar

from testing.broken.marks import breaks

from ltbench import Loss, Meta

CALLS = itertools.count()


def nll(logits, labels):
    return -logits.log_softmax(1).gather(1, labels[:, None]).squeeze(1)


class Sound(Loss, frozen=True):
    """Cross-entropy. Source: none."""

    name = "sound_loss"

    def per_sample(self, logits, labels, counts):
        return nll(logits, labels)


@breaks("has_a_unique_name")
class NameOfABuiltIn(Sound, frozen=True):
    """Have the name of a built-in. Source: none."""

    name = "focal"


@breaks("has_a_unique_name")
class NameOfAStage(Sound, frozen=True):
    """Have the name of a stage. Source: none."""

    name = "weight"


@breaks("has_a_unique_name")
class NameOfTwoWords(Sound, frozen=True):
    """Have a name that no command line takes. Source: none."""

    name = "My-Loss"


@breaks("names_its_source")
class NoSource(Sound, frozen=True):
    """Cross-entropy, whoever has found it."""

    name = "no_source"


@breaks("names_its_source")
class NoDocstring(Sound, frozen=True):
    name = "no_docstring"


@breaks("parameters_are_described")
class NoDescription(Sound, frozen=True):
    """Say nothing of what the parameter means. Source: none."""

    name = "no_description"
    scale: Annotated[float, Meta(gt=0)] = 1.0

    def per_sample(self, logits, labels, counts):
        return nll(self.scale * logits, labels)


@breaks("parameters_are_described")
class NoRange(Sound, frozen=True):
    """Take any number. Source: none."""

    name = "no_range"
    shift: Annotated[float, Meta(description="added to the first logit")] = 1.0

    def per_sample(self, logits, labels, counts):
        return nll(logits, labels) + self.shift


@breaks("declares_valid_relations")
class ConflictWithNobody(Sound, frozen=True):
    """Misspell the other technique. Source: none."""

    name = "conflict_with_nobody"
    conflicts: ClassVar = {"cb_samplr": "both balance"}


@breaks("declares_valid_relations")
class NoReason(Sound, frozen=True):
    """Give no reason. Source: none."""

    name = "no_reason"
    doubtful: ClassVar = ("cb_sampler",)


@breaks("declares_valid_relations")
class SecondBaseline(Sound, frozen=True):
    """Take the place of the baseline. Source: none."""

    name = "second_baseline"
    baseline = True


@breaks("declares_valid_relations")
class RevisionOfWords(Sound, frozen=True):
    """Count revisions in words. Source: none."""

    name = "revision_of_words"
    revision: ClassVar = "two"


@breaks("round_trips_as_text")
class ListOfNumbers(Sound, frozen=True):
    """Have a parameter that no set can hold. Source: none."""

    name = "list_of_numbers"
    scales: Annotated[list[Annotated[float, Meta(gt=0)]], Meta(description="one of each")] = []

    def per_sample(self, logits, labels, counts):
        return nll(logits, labels) * (1 + sum(self.scales))


@breaks("round_trips_as_text")
class WordsWithCommas(Sound, frozen=True):
    """Have a label that is read as several techniques. Source: none."""

    name = "words_with_commas"
    only: Annotated[str, Meta(description="classes")] = ""

    @property
    def label(self):
        return f"{self.name}[only=head,tail]"


@breaks("works_with_any_number_of_classes")
class FewClasses(Sound, frozen=True):
    """Hold at most a hundred classes. Source: none."""

    name = "few_classes"

    def per_sample(self, logits, labels, counts):
        table = logits.new_zeros(100)
        return nll(logits + table[: len(counts)], labels)


@breaks("works_with_any_number_of_classes")
class ManyClasses(Sound, frozen=True):
    """Look at the three most frequent classes. Source: none."""

    name = "many_classes"

    def per_sample(self, logits, labels, counts):
        return nll(logits + 0 * counts.topk(3)[0].sum(), labels)


@breaks("uses_every_parameter")
class ForgottenParameter(Sound, frozen=True):
    """Forget its gamma. Source: none."""

    name = "forgotten_parameter"
    gamma: Annotated[float, Meta(ge=0, description="nothing")] = 1.0


@breaks("does_not_modify_inputs")
class ChangedLogits(Sound, frozen=True):
    """Shift logits in place. Source: none."""

    name = "changed_logits"

    def per_sample(self, logits, labels, counts):
        logits += counts.clamp(min=1).log()
        return nll(logits, labels)


@breaks("does_not_modify_inputs")
class ChangedCounts(Sound, frozen=True):
    """Clamp the class counts of everybody. Source: none."""

    name = "changed_counts"

    def per_sample(self, logits, labels, counts):
        return nll(logits + counts.clamp_(min=1).log(), labels)


@breaks("does_not_use_global_randomness")
class GlobalDraws(Sound, frozen=True):
    """Draw from torch's global state. Source: none."""

    name = "global_draws"

    def per_sample(self, logits, labels, counts):
        import torch

        return nll(logits, labels) + 1e-6 * torch.rand((), device=logits.device)


@breaks("does_not_use_global_randomness")
class PythonDraws(Sound, frozen=True):
    """Draw from Python's global state. Source: none."""

    name = "python_draws"

    def per_sample(self, logits, labels, counts):
        return nll(logits, labels) * (1 + 1e-6 * random.random())


@breaks("does_not_use_global_randomness")
class HiddenDraws(Sound, frozen=True):
    """Draw from numpy's global state, and put it back. Source: none."""

    name = "hidden_draws"

    def per_sample(self, logits, labels, counts):
        import numpy as np

        state = np.random.get_state()  # noqa: NPY002
        factor = 1 + 1e-6 * np.random.rand()  # noqa: NPY002
        np.random.set_state(state)  # noqa: NPY002
        return nll(logits, labels) * factor


@breaks("is_deterministic")
class Counting(Sound, frozen=True):
    """Remember how often it was called. Source: none."""

    name = "counting"

    def per_sample(self, logits, labels, counts):
        return nll(logits, labels) * (1 + 1e-6 * next(CALLS))


def made_in_a_function():
    @breaks("survives_pickling")
    class Local(Sound, frozen=True):
        """Be made inside of a function. Source: none."""

        name = "local"

    return Local


LOCAL = made_in_a_function()


@breaks("is_the_same_in_another_process")
class HashOfText(Sound, frozen=True):
    """Depend on the hash of a text. Source: none."""

    name = "hash_of_text"

    def per_sample(self, logits, labels, counts):
        return nll(logits, labels) * (1 + abs(hash("head")) % 1000)
