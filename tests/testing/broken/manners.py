"""Losses, sound as such, that lack what every technique has to hold."""

from __future__ import annotations

import itertools
import os
import random
from typing import Annotated, ClassVar, Literal

from testing.broken.marks import breaks

from ltbench import Loss, Meta, NotTuned, Tune
from ltbench.errors import ParameterError

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
    scale: Annotated[float, Meta(gt=0), Tune(0.5, 2.0)] = 1.0

    def per_sample(self, logits, labels, counts):
        return nll(self.scale * logits, labels)


@breaks("parameters_are_described")
class NoRange(Sound, frozen=True):
    """Take any number. Source: none."""

    name = "no_range"
    shift: Annotated[float, Meta(description="added to the first logit"), Tune(0.5, 2.0)] = 1.0

    def per_sample(self, logits, labels, counts):
        return nll(logits, labels) + self.shift


class Scaled(Sound, frozen=True):
    """Multiply the logits. Source: none."""

    name = "scaled_loss"
    scale: Annotated[float, Meta(gt=0, description="factor of the logits"), Tune(0.5, 2.0)] = 1.0

    def per_sample(self, logits, labels, counts):
        return nll(self.scale * logits, labels)


@breaks("says_what_is_worth_tuning")
class NothingToTune(Scaled, frozen=True):
    """Say nothing of the values that are worth trying. Source: none."""

    name = "nothing_to_tune"
    scale: Annotated[float, Meta(gt=0, description="factor of the logits")] = 1.0


@breaks("says_what_is_worth_tuning")
class NoReasonNotToTune(Scaled, frozen=True):
    """Give no reason. Source: none."""

    name = "no_reason_not_to_tune"
    scale: Annotated[float, Meta(gt=0, description="factor of the logits"), NotTuned(" ")] = 1.0


@breaks("says_what_is_worth_tuning")
class TunedAway(Scaled, frozen=True):
    """Never try the default. Source: none."""

    name = "tuned_away"
    scale: Annotated[float, Meta(gt=0, description="factor of the logits"), Tune(2.0, 4.0)] = 1.0


@breaks("says_what_is_worth_tuning")
class TunedTooFar(Scaled, frozen=True):
    """Try what the range excludes. Source: none."""

    name = "tuned_too_far"
    scale: Annotated[float, Meta(gt=0, le=3, description="factor of the logits"), Tune(0.5, 4.0)] = 1.0


@breaks("says_what_is_worth_tuning")
class RangeOfWords(Sound, frozen=True):
    """Have a range of what is no number. Source: none."""

    name = "range_of_words"
    scale: Annotated[Literal["1", "2"], Meta(description="factor of the logits"), Tune(1.0, 2.0)] = "1"

    def per_sample(self, logits, labels, counts):
        return nll(int(self.scale) * logits, labels)


@breaks("says_what_is_worth_tuning")
class TunedApart(Scaled, frozen=True):
    """Try pairs of values that it refuses. Source: none."""

    name = "tuned_apart"
    most: Annotated[float, Meta(gt=0, description="upper bound of the scale"), Tune(1.0, 4.0)] = 2.0

    def check(self):
        if self.scale > self.most:
            raise ParameterError("scale is above most", fix="a larger most")

    def per_sample(self, logits, labels, counts):
        return nll(self.scale * logits, labels) + self.most


@breaks("uses_every_parameter")
class Clamped(Sound, frozen=True):
    """Keep a parameter within limits that its range does not state. Source: none."""

    name = "clamped"
    gamma: Annotated[float, Meta(gt=0, description="factor on the logits, at most 2"), Tune(1.0, 2.0)] = 2.0

    def per_sample(self, logits, labels, counts):
        return nll(min(self.gamma, 2.0) * logits, labels)


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


@breaks("works_with_any_number_of_classes", Sound, "per_sample")
def few_classes(self, logits, labels, counts):
    """Hold at most a hundred classes."""
    table = logits.new_zeros(100)
    return nll(logits + table[: len(counts)], labels)


@breaks("works_with_any_number_of_classes", Sound, "per_sample")
def many_classes(self, logits, labels, counts):
    """Look at the three most frequent classes."""
    return nll(logits + 0 * counts.topk(3)[0].sum(), labels)


@breaks("uses_every_parameter")
class ForgottenParameter(Sound, frozen=True):
    """Forget its gamma. Source: none."""

    name = "forgotten_parameter"
    gamma: Annotated[float, Meta(ge=0, description="nothing"), Tune(0.5, 2.0)] = 1.0


# Every check that computes losses of the same logits twice sees the second shift.
@breaks(
    ("does_not_modify_inputs", "losses_reach_every_branch", "losses_do_not_depend_on_the_batch"), Sound, "per_sample"
)
def changed_logits(self, logits, labels, counts):
    """Shift logits in place."""
    logits += counts.clamp(min=1).log()
    return nll(logits, labels)


@breaks("does_not_modify_inputs", Sound, "per_sample")
def changed_counts(self, logits, labels, counts):
    """Clamp the class counts of everybody."""
    return nll(logits + counts.clamp_(min=1).log(), labels)


@breaks("leaves_no_state_behind", Sound, "per_sample")
def left_environment(self, logits, labels, counts):
    """Set a variable for a library, and leave it set."""
    os.environ["OMP_DYNAMIC"] = "false"
    return nll(logits, labels)


@breaks("leaves_no_state_behind", Sound, "per_sample")
def left_error_state(self, logits, labels, counts):
    """Silence numpy for everybody."""
    import numpy as np

    np.seterr(all="ignore")
    return nll(logits, labels)


@breaks("does_not_use_global_randomness", Sound, "per_sample")
def global_draws(self, logits, labels, counts):
    """Draw from torch's global state."""
    import torch

    return nll(logits, labels) + 1e-6 * torch.rand((), device=logits.device)


@breaks("does_not_use_global_randomness", Sound, "per_sample")
def python_draws(self, logits, labels, counts):
    """Draw from Python's global state."""
    return nll(logits, labels) * (1 + 1e-6 * random.random())


@breaks("does_not_use_global_randomness", Sound, "per_sample")
def hidden_draws(self, logits, labels, counts):
    """Draw from numpy's global state, and put it back."""
    import numpy as np

    state = np.random.get_state()  # noqa: NPY002
    factor = 1 + 1e-6 * np.random.rand()  # noqa: NPY002
    np.random.set_state(state)  # noqa: NPY002
    return nll(logits, labels) * factor


@breaks("is_deterministic", Sound, "per_sample")
def counting(self, logits, labels, counts):
    """Remember how often it was called."""
    return nll(logits, labels) * (1 + 1e-6 * next(CALLS))


def made_in_a_function():
    @breaks("survives_pickling")
    class Local(Sound, frozen=True):
        """Be made inside of a function. Source: none."""

        name = "local"

    return Local


LOCAL = made_in_a_function()


@breaks("is_the_same_in_another_process", Sound, "per_sample")
def hash_of_text(self, logits, labels, counts):
    """Depend on the hash of a text."""
    return nll(logits, labels) * (1 + abs(hash("head")) % 1000)
