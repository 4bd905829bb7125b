"""Broken ways of fine-tuning."""

from __future__ import annotations

from testing.broken.marks import breaks

from ltbench import Finetune


class Sound(Finetune, frozen=True):
    """Train the biases. Source: none."""

    name = "sound_finetune"

    def learns(self, name, parameter, module):
        return name.endswith("bias")


@breaks("adapted_network_returns_logits", Sound, "adapt")
def other_classifier(self, network):
    """Return a copy of the classifier in its place."""
    import copy

    network.get_classifier = lambda: copy.deepcopy(network.head)
    return network


@breaks("what_is_frozen_stays", Sound, "adapt")
def merging(self, network):
    """Change a frozen weight in each pass."""
    from testing.broken.networks import Merging

    network.norm = Merging(network.norm)
    return network


@breaks("additions_are_in_the_state", Sound, "adapt")
def outside(self, network):
    """Keep what it learns in a list, where no state has it."""
    from testing.broken.networks import Outside

    network.norm = Outside(network.norm)
    return network


@breaks("copies_are_independent", Sound, "adapt")
def hooked(self, network):
    """Add a module by a hook."""
    from torch import nn

    network.added = nn.Linear(12, 12)
    added = network.added
    network.norm.register_forward_hook(lambda _module, _given, out: out + added(out))
    return network
