"""Checks of branches."""

from __future__ import annotations

from ltbench.testing.check import per_setting, per_technique
from ltbench.testing.finding import Skip
from ltbench.testing.inputs import BATCH, Inputs
from ltbench.testing.network_outputs import LATER, START
from ltbench.testing.stage_calls import BLOCKS
from ltbench.testing.subject import Subject, failed


@per_setting
def there_are_several_branches(on: Subject) -> None:
    """`number` returns an integer of at least 2.

    One branch is the network as it is.
    """
    number: object = on.technique.number()
    if not (isinstance(number, int) and number >= 2):
        raise failed(f"number() returned {number!r}", "an integer of at least 2", "return 3")


@per_setting
def shared_blocks_are_blocks_of_the_network(on: Subject) -> None:
    """`shared` returns an integer from 0 to the number of blocks of the network, whatever that is.

    The networks of some models have only one block.
    """
    for blocks in BLOCKS:
        shared: object = on.technique.shared(blocks)
        if not (isinstance(shared, int) and 0 <= shared <= blocks):
            raise failed(f"shared({blocks}) returned {shared!r}", f"an integer from 0 to {blocks}",
                         "return max(blocks - 2, 0)")  # fmt: skip


@per_setting
def shares_are_shares(on: Subject) -> None:
    """`share` returns a number in [0, 1] throughout the training.

    It is the weight of the label of the first stream in the loss; the second stream has the rest.
    """
    for moment in (START, *LATER):
        share: object = on.technique.share(moment)
        if not (isinstance(share, (int, float)) and 0 <= share <= 1):
            raise failed(
                f"at {moment.progress:.0%} of the training, share() returned {share!r}", "a number from 0 to 1",
                "return 1 - moment.progress",
            )  # fmt: skip


@per_setting
def merges_to_logits(on: Subject) -> None:
    """`merge` and `merge_at` return logits [N, C]; `merge` equal ones for tensors and for arrays.

    Tensors are merged in training; arrays after it, when cells are computed from stored logits without torch.
    """
    import numpy as np
    import torch

    from ltbench.engine.output_checks import check_tensor
    from ltbench.jobs.plugin_calls import merge_logits_checked

    technique, inputs = on.technique, Inputs()
    arrays = inputs.array("logits", [inputs.logits(seed=seed) for seed in range(technique.number())])
    tensors, shape = torch.as_tensor(arrays), [BATCH, inputs.classes]
    merged = check_tensor(technique, "as merged tensors", technique.merge(tensors), tensors.dtype, shape)
    for moment in (START, *LATER):
        at = technique.merge_at(tensors, moment)
        check_tensor(technique, "as tensors merged in training", at, tensors.dtype, shape)
    of_arrays = technique.merge(arrays)
    if not isinstance(of_arrays, np.ndarray):
        raise failed(f"merge returned {type(of_arrays).__name__} for arrays", "an array",
                     "use methods that tensors and arrays have: logits.mean(0)")  # fmt: skip
    if not np.allclose(merge_logits_checked(on.provenance, technique, technique.merge, arrays), merged.numpy()):
        raise failed("merge returned other values for arrays than for tensors", "equal values",
                     "use methods that tensors and arrays have: logits.mean(0)")  # fmt: skip


@per_setting
def merging_uses_every_branch(on: Subject) -> None:
    """The merged logits depend on every branch, after the training and at some point of it.

    A branch that is left out costs time and predicts nothing.
    """
    import torch

    technique, inputs = on.technique, Inputs()
    number = technique.number()

    def used(moment: object) -> set[int]:
        """Return the branches on which the merged logits depend; moment: None after the training."""
        logits = torch.as_tensor([inputs.logits(seed=seed).tolist() for seed in range(number)]).requires_grad_()
        merged = technique.merge(logits) if moment is None else technique.merge_at(logits, moment)
        if not merged.requires_grad:
            return set()
        (gradient,) = torch.autograd.grad(merged.square().sum(), logits)
        return {branch for branch in range(number) if bool(gradient[branch].any())}

    for where, found in (
        ("merge", used(None)), ("merge_at", set().union(*(used(moment) for moment in (START, *LATER)))),
    ):  # fmt: skip
        if missing := sorted(set(range(number)) - found):
            raise failed(
                f"{where} ignores branch {missing[0] + 1} of {number}", "all branches", "return logits.mean(0)"
            )


@per_technique
def second_stream_conflicts(on: Subject) -> None:
    """With a second stream, they conflict with mixes and auxiliaries.

    Each branch then has images and labels of its own: a mix has two images already, and an auxiliary gets one label.
    """
    if not on.technique.stream:
        raise Skip("all branches see the same images")
    if lacking := [stage for stage in ("mix", "auxiliary") if stage not in on.technique.conflicts]:
        raise failed(f"it has a second stream and can be combined with a technique of {' or '.join(lacking)}",
                     "conflicts with them", 'conflicts = {"mix": "why", "auxiliary": "why"}')  # fmt: skip


BRANCHES = (
    there_are_several_branches, shared_blocks_are_blocks_of_the_network, shares_are_shares, merges_to_logits,
    merging_uses_every_branch, second_stream_conflicts,
)  # fmt: skip
