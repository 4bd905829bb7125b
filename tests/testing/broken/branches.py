"""Broken branches, and losses that do not train them."""

from __future__ import annotations

from testing.broken.manners import Sound as SoundLoss
from testing.broken.manners import nll
from testing.broken.marks import breaks

from ltbench import Branches


class SoundBranches(Branches, frozen=True):
    """Be three branches. Source: none."""

    name = "sound_branches"

    def number(self):
        return 3


@breaks("second_stream_conflicts")
class StreamBesideAnything(SoundBranches, frozen=True):
    """Have a second stream, and go with every auxiliary. Source: none."""

    name = "stream_beside_anything"
    stream = "reverse"
    conflicts = {"mix": "the two labels of an image are those of its two streams"}


@breaks("there_are_several_branches", SoundBranches, "number")
def a_single_branch(self):
    """Be the network as it is."""
    return 1


@breaks("shared_blocks_are_blocks_of_the_network", SoundBranches, "shared")
def all_but_two(self, blocks):
    """Share less than nothing of a network of one block."""
    return blocks - 2


@breaks("shares_are_shares", SoundBranches, "share")
def percent(self, moment):
    """Count in percent."""
    return 100 * moment.progress


@breaks("merges_to_logits", SoundBranches, "merge")
def not_merged(self, logits):
    """Return the logits of all branches."""
    return logits


@breaks("merges_to_logits", SoundBranches, "merge_at")
def not_merged_in_training(self, logits, moment):
    """Return the logits of all branches side by side."""
    return logits.transpose(0, 1).flatten(1)


@breaks("merges_to_logits", SoundBranches, "merge")
def lists_for_arrays(self, logits):
    """Return a list for an array."""
    return logits.mean(0) if hasattr(logits, "requires_grad") else logits.mean(0).tolist()


@breaks("merges_to_logits", SoundBranches, "merge")
def another_merge_of_arrays(self, logits):
    """Add arrays and average tensors."""
    return logits.mean(0) if hasattr(logits, "requires_grad") else logits.sum(0)


@breaks("merging_uses_every_branch", SoundBranches, "merge")
def the_first_branch(self, logits):
    """Predict with the first branch alone."""
    return logits[0]


@breaks("merging_uses_every_branch", SoundBranches, "merge_at")
def the_last_branch_in_training(self, logits, moment):
    """Train the last branch alone."""
    return logits[-1]


@breaks("losses_reach_every_branch", SoundLoss, "of")
def of_the_first_branch(self, outputs, labels, counts, moment):
    """Train the first branch alone."""
    return nll(outputs.branches[0], labels)


@breaks("losses_reach_every_branch", SoundLoss, "of")
def of_the_first_classes(self, outputs, labels, counts, moment):
    """Take the logits of all branches for one row of as many classes."""
    wide = outputs.branches.transpose(0, 1).flatten(1)
    return nll(wide[:, : len(counts)], labels)
