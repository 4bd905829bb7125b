"""Checks of augmentations and mixes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ltbench.stages import Augment, Mixed, Partner
from ltbench.testing.check import per_setting
from ltbench.testing.finding import Skip
from ltbench.testing.inputs import BATCH, Inputs
from ltbench.testing.subject import Subject, failed
from ltbench.testing.told import EPOCHS, is_told, moment_at, states, told

# --- augmentations ----------------------------------------------------------------------------------------------


@per_setting
def images_keep_their_shape_and_range(on: Subject) -> None:
    """`apply` and `batch` return float32 images of unchanged shape with values in [0, 1], in grey and colour.

    The harness normalises the images afterwards, with mean and standard deviation of such pixels.
    """
    import torch

    from ltbench.engine.output_checks import check_tensor

    augment = on.technique
    inputs = Inputs()
    for channels in (1, 3):
        stored = torch.as_tensor(inputs.images(12, channels, 16))
        for seed in range(2):
            for what, images in _augmented(augment, inputs, stored, seed):
                check_tensor(augment, f"from {what} images", images, torch.float32, [12, channels, 16, 16])
                low, high = float(images.min()), float(images.max())
                if not (low >= 0 and high <= 1):
                    raise failed(
                        f"{what} returned values from {low:g} to {high:g}", "values in [0, 1]", "images.clamp(0, 1)"
                    )


def _augmented(augment: Augment, inputs: Inputs, stored: Any, seed: int) -> Iterator[tuple[str, Any]]:
    """Yield the results of each method that augments, with its name."""
    import torch

    if is_told(augment):
        for state in states(augment, inputs):
            facts = told(augment, inputs, len(stored), moment_at(EPOCHS - 1), state)
            yield "apply_to", augment.apply_to(stored / 255, facts, inputs.generator(seed))
        return
    if type(augment).to_size is not Augment.to_size:
        larger = torch.as_tensor(inputs.images(len(stored), stored.shape[1], 2 * stored.shape[-1])) / 255
        yield "to_size", augment.to_size(larger, stored.shape[-1], inputs.generator(seed))
    yield "apply", augment.apply(stored / 255, inputs.generator(seed))
    yield "batch", augment.batch(augment.prepare(stored.clone()), torch.arange(len(stored)), inputs.generator(seed))


@per_setting
def uses_what_it_is_told(on: Subject) -> None:
    """An augmentation that overrides `apply_to` uses labels, class counts, moment or state.

    One that needs only images has `apply`, which is faster.
    """
    import msgspec
    import torch

    augment = on.technique
    if not is_told(augment):
        raise Skip("it does not override apply_to")
    inputs = Inputs()
    images = torch.as_tensor(inputs.images(BATCH, 3, 16)) / 255

    def results(**changes: Any) -> list[Any]:
        facts = [told(augment, inputs, BATCH, moment_at(0), state) for state in states(augment, inputs)]
        changed = [msgspec.structs.replace(fact, **changes) for fact in facts]
        return [augment.apply_to(images.clone(), fact, inputs.generator(5)) for fact in changed]

    usual = results()
    flipped = torch.as_tensor(inputs.class_counts).flip(0)
    others = torch.as_tensor(inputs.batch_labels).flip(0)
    changes: tuple[dict[str, Any], ...] = ({"labels": others}, {"counts": flipped}, {"moment": moment_at(EPOCHS - 1)})
    by_fact = any(not torch.equal(a, b) for change in changes for a, b in zip(usual, results(**change), strict=True))
    if not by_fact and all(torch.equal(usual[0], other) for other in usual):
        raise failed(
            "apply_to returns the same images whatever the labels, class counts, moment and state are",
            "images that depend on one of them", "rename apply_to(images, told, generator) to apply(images, generator)",
        )  # fmt: skip


@per_setting
def batch_equals_apply(on: Subject) -> None:
    """`prepare` and `batch` return the same images as `apply` with an equal generator.

    They are only a faster implementation of `apply`.
    """
    import torch

    if is_told(on.technique):
        raise Skip("it overrides apply_to, which the harness calls instead")
    inputs = Inputs()
    indices = torch.tensor([5, 1, 1, 11])
    for channels in (1, 3):
        stored = torch.as_tensor(inputs.images(12, channels, 16))
        fast = on.technique.batch(on.technique.prepare(stored.clone()), indices, inputs.generator(5))
        plain = on.technique.apply(stored[indices] / 255, inputs.generator(5))
        if fast.shape != plain.shape or not torch.allclose(fast.float(), plain.float(), rtol=0, atol=1e-5):
            raise failed(
                "batch and apply return different images", "equal images", "use the generator in the same order in both"
            )


@per_setting
def batch_does_not_share_memory(on: Subject) -> None:
    """Writing to a batch does not change the stored images.

    The harness normalises batches in place.
    """
    import torch

    if is_told(on.technique):
        raise Skip("it overrides apply_to, which gets a copy of the stored images")
    augment = on.technique
    inputs = Inputs()
    stored = torch.as_tensor(inputs.images(4, 3, 16))
    prepared = augment.prepare(stored)
    copy, before = stored.clone(), augment.batch(prepared, torch.arange(4), inputs.generator(5)).clone()
    augment.batch(prepared, torch.arange(4), inputs.generator(5)).zero_()
    after = augment.batch(prepared, torch.arange(4), inputs.generator(5))
    if not (torch.equal(stored, copy) and torch.equal(before, after)):
        raise failed("a batch shares memory with the stored images", "separate memory", "images.clone()")


AUGMENT = (
    images_keep_their_shape_and_range, batch_equals_apply, batch_does_not_share_memory, uses_what_it_is_told,
)  # fmt: skip

# --- mixes ------------------------------------------------------------------------------------------------------


@per_setting
def blend_has_the_shape_of_its_batch(on: Subject) -> None:
    """The blend is a `Mixed`: images of unchanged shape and dtype, two labels int64 [B], lambdas float [B].

    Labels are in range and lambdas in [0, 1]: the loss is `lam * loss(a) + (1 - lam) * loss(b)`. A hidden mix is also
    tested with outputs of blocks, in float32 and bfloat16.
    """
    import torch

    from ltbench.engine.output_checks import check_mixed

    inputs, mix = Inputs(), on.technique
    shapes: list[tuple[tuple[int, ...], torch.dtype]] = [((3, 8, 8), torch.float32)]
    if mix.where == "hidden":
        shapes += [((5, 3, 3), torch.float32), ((5, 3, 3), torch.bfloat16), ((7,), torch.float32)]
    for shape, dtype in shapes:
        images = torch.as_tensor(inputs.rng(2).standard_normal((BATCH, *shape))).to(dtype)
        for seed, mixed in _blends(on, inputs, images):
            check_mixed(mix, mixed, images, inputs.classes)
            if mixed.lam.dtype != torch.float32 and seed == 0:
                raise failed(f"lambdas are {mixed.lam.dtype}", "float32 [B]", "lam.float(), also for a bfloat16 block")


@per_setting
def blend_matches_its_two_labels(on: Subject) -> None:
    """Each pixel of a blended image lies between pixels of images with the two returned labels.

    Tested with images whose pixels equal the label: other values show that labels and images do not correspond.
    """
    import torch

    inputs = Inputs()
    labels = torch.as_tensor(inputs.batch_labels)
    images = labels.float()[:, None, None, None].expand(-1, 3, 8, 8).contiguous()
    for _, mixed in _blends(on, inputs, images, constant=True):
        ends = torch.stack([mixed.labels_a, mixed.labels_b]).float()
        pixels = mixed.images.flatten(1)
        low, high = ends.min(0)[0] - 1e-3, ends.max(0)[0] + 1e-3
        odd = ((pixels.min(1)[0] < low) | (pixels.max(1)[0] > high)).nonzero().flatten().tolist()
        if odd:
            of = f"{int(mixed.labels_a[odd[0]])} and {int(mixed.labels_b[odd[0]])}"
            values = pixels[odd[0]].unique().tolist()[:4]
            raise failed(
                f"an image with the labels {of} shows label {' and '.join(f'{v:g}' for v in values)}",
                "a blend of these two", "index images and labels_b with the same permutation",
            )  # fmt: skip


@per_setting
def uses_its_second_stream(on: Subject) -> None:
    """A mix with a `partner` blends the images of that stream, and a mix inside the network has none.

    A second stream costs time in every step.
    """
    import torch

    mix, inputs = on.technique, Inputs()
    if not mix.partner:
        raise Skip("it has no partner")
    if mix.where == "hidden":
        raise failed(f"it has where = hidden and partner = {mix.partner}", "one of the two", "remove partner")
    images = torch.as_tensor(inputs.rng(2).standard_normal((BATCH, 3, 8, 8)).astype("float32"))
    for epoch in range(EPOCHS):
        for state in states(mix, inputs):
            facts = [told(mix, inputs, BATCH, moment_at(epoch), state, seed) for seed in range(2)]
            one, other = (mix.blend(images.clone(), fact, inputs.generator(3)) for fact in facts)
            if not (torch.equal(one.images, other.images) and torch.equal(one.labels_b, other.labels_b)):
                return
    raise failed("it ignores the second stream", "blends with its images", "use told.partner.images in blend")


def _blends(on: Subject, inputs: Inputs, images: Any, *, constant: bool = False) -> Iterator[tuple[int, Mixed]]:
    """Yield blends with their seeds, at several moments. constant: whether the pixels of images equal their label."""
    import msgspec

    mix = on.technique
    for seed in range(8):
        for state in states(mix, inputs):
            facts = told(mix, inputs, BATCH, moment_at(seed % EPOCHS), state)
            if facts.partner is not None:
                others = facts.partner.labels.float()[:, None, None, None].expand_as(images).contiguous()
                pictures = others if constant else facts.partner.images
                facts = msgspec.structs.replace(facts, partner=Partner(images=pictures, labels=facts.partner.labels))
            yield seed, mix.blend(images.clone(), facts, inputs.generator(seed))


MIX = (blend_has_the_shape_of_its_batch, blend_matches_its_two_labels, uses_its_second_stream)
