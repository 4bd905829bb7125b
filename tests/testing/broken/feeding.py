"""Broken samplers, augmentations and mixes."""

from __future__ import annotations

from testing.broken.marks import breaks

from ltbench import Augment, Mix, Mixed, Sampler

# --- samplers ---------------------------------------------------------------------------------------------------


class SoundSampler(Sampler, frozen=True):
    """Shuffle. Source: none."""

    name = "sound_sampler"

    def epoch(self, pool, labels, counts, batch_size, generator):
        import torch

        return pool[torch.randperm(len(pool), generator=generator)]


@breaks("indices_are_training_images", SoundSampler, "epoch")
def one_too_far(self, pool, labels, counts, batch_size, generator):
    """Count images from one."""
    return SoundSampler.epoch(self, pool, labels, counts, batch_size, generator) + 1


@breaks("indices_are_training_images")
class OutsideOfThePool(SoundSampler, frozen=True):
    """Draw from all images, whatever was put into the pool. Source: none."""

    name = "outside_of_the_pool"

    def pool(self, labels, counts, generator):
        return Sampler.pool(self, labels, counts, generator)[::2]

    def epoch(self, pool, labels, counts, batch_size, generator):
        import torch

        return torch.randperm(len(labels), generator=generator)


@breaks("epochs_have_equal_length", SoundSampler, "epoch")
def long_and_short(self, pool, labels, counts, batch_size, generator):
    """Draw the length of an epoch."""
    import torch

    order = pool[torch.randperm(len(pool), generator=generator)]
    return order[int(torch.randint(50, (), generator=generator)) :]


@breaks("batch_size_is_valid", SoundSampler, "batch_size")
def half_a_batch(self, batch_size, classes):
    """Divide the size of a batch."""
    return batch_size / 2


@breaks("draws_match_the_stated_shares", SoundSampler, "share")
def not_balanced(self, counts):
    """State a balance that there is not."""
    return (counts > 0).double() / (counts > 0).sum()


@breaks("draws_match_the_stated_shares")
class NearlyBalanced(SoundSampler, frozen=True):
    """State a balance that the first class is a little beyond. Source: none."""

    name = "nearly_balanced"

    def epoch(self, pool, labels, counts, batch_size, generator):
        import torch

        weights = 1 / counts.clamp(min=1).double()
        weights[0] *= 1.25
        return pool[torch.multinomial(weights[labels[pool]], len(pool), replacement=True, generator=generator)]

    share = not_balanced.share


EPOCHS_DRAWN: dict[str, int] = {}
STEPS_SEEN: dict[str, int] = {}
"""Counts that no snapshot has."""


@breaks("epochs_do_not_depend_on_earlier_ones")
class CountingEpochs(SoundSampler, frozen=True):
    """Reverse every second epoch since the pool was drawn, by a count of its own. Source: none."""

    name = "counting_epochs"

    def pool(self, labels, counts, generator):
        EPOCHS_DRAWN[self.name] = 0
        return Sampler.pool(self, labels, counts, generator)

    def epoch(self, pool, labels, counts, batch_size, generator):
        EPOCHS_DRAWN[self.name] += 1
        drawn = SoundSampler.epoch(self, pool, labels, counts, batch_size, generator)
        return drawn.flip(0) if EPOCHS_DRAWN[self.name] % 2 else drawn


# --- augmentations ----------------------------------------------------------------------------------------------


class SoundAugment(Augment, frozen=True):
    """Mirror. Source: none."""

    name = "sound_augment"

    def apply(self, images, generator):
        import torch

        chosen = torch.rand(len(images), generator=generator, device=images.device) < 0.5
        return torch.where(chosen[:, None, None, None], images.flip(-1), images)


@breaks("images_keep_their_shape_and_range", SoundAugment, "apply")
def too_bright(self, images, generator):
    """Leave the range of pixels."""
    return 1.5 * SoundAugment.apply(self, images, generator)


@breaks("images_keep_their_shape_and_range", SoundAugment, "apply")
def smaller(self, images, generator):
    """Cut the border off."""
    return SoundAugment.apply(self, images, generator)[..., 1:-1, 1:-1]


@breaks("images_keep_their_shape_and_range", SoundAugment, "to_size")
def not_resized(self, images, size, generator):
    """Return stored images as large as they are."""
    return SoundAugment.apply(self, images, generator)


@breaks("batch_equals_apply", SoundAugment, "batch")
def fast_and_else(self, prepared, indices, generator):
    """Forget the mirror where it has to be fast."""
    return prepared[indices].float() / 255


@breaks("batch_does_not_share_memory")
class SharedMemory(SoundAugment, frozen=True):
    """Give the stored images themselves away. Source: none."""

    name = "shared_memory"

    def apply(self, images, generator):
        return images

    def prepare(self, images):
        return images.float() / 255

    def batch(self, prepared, indices, generator):
        return prepared if len(indices) == len(prepared) else prepared[indices]


@breaks("runs_on_the_device_of_its_inputs", SoundAugment, "apply")
def drawn_on_the_cpu(self, images, generator):
    """Draw on the CPU with a generator of another device."""
    import torch

    chosen = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
    return torch.where(chosen[:, None, None, None], images.flip(-1), images)


class SoundTold(Augment, frozen=True):
    """Darken images of the first class, more from epoch to epoch. Source: none."""

    name = "sound_told"

    def apply_to(self, images, told, generator):
        import torch

        drawn = torch.rand(len(images), generator=generator, device=images.device)
        factor = torch.where(told.labels == 0, 1 - drawn * self.share(told), 1)
        return images * factor[:, None, None, None]

    def share(self, told):
        return told.moment.progress


@breaks("uses_what_it_is_told", SoundTold, "apply_to")
def told_in_vain(self, images, told, generator):
    """Darken every image."""
    import torch

    return images * torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device)


@breaks("calls_do_not_depend_on_earlier_ones", SoundTold, "apply_to")
def darkens_by_a_count(self, images, told, generator):
    """Count the batches since the start of the training, for images of all classes but the first."""
    count = STEPS_SEEN["augment"] = 1 if told.moment.step == 0 else STEPS_SEEN.get("augment", 0) + 1
    images = SoundTold.apply_to(self, images, told, generator)
    return images / count


@breaks("does_not_use_global_randomness", SoundTold, "apply_to")
def told_and_drawing_globally(self, images, told, generator):
    """Draw from the global generator."""
    import torch

    return images * torch.where(told.labels == 0, torch.rand((), device=images.device), 1)[:, None, None, None]


# --- mixes ------------------------------------------------------------------------------------------------------


class SoundMix(Mix, frozen=True):
    """Blend halves. Source: none."""

    name = "sound_mix"

    def shares(self, images):
        return images.new_full((len(images),), 0.5)

    def mix(self, images, labels, counts, generator):
        import torch

        partner = torch.randperm(len(images), generator=generator, device=images.device)
        lam = self.shares(images)
        return Mixed((images + images[partner]) / 2, labels, self.partners(labels, partner), lam)

    def partners(self, labels, partner):
        return labels[partner]


@breaks("blend_has_the_shape_of_its_batch", SoundMix, "shares")
def more_than_all(self, images):
    """Have a lambda over one."""
    return images.new_full((len(images),), 1.5)


@breaks("blend_has_the_shape_of_its_batch", SoundMix, "shares")
def one_lambda(self, images):
    """Have one lambda for all images."""
    return images.new_full((), 0.5)


@breaks("calls_do_not_depend_on_earlier_ones", SoundMix, "blend")
def blends_by_a_count(self, images, told, generator):
    """Blend less from batch to batch, by a count of its own."""
    count = STEPS_SEEN["mix"] = 1 if told.moment.step == 0 else STEPS_SEEN.get("mix", 0) + 1
    mixed = SoundMix.mix(self, images, told.labels, told.counts, generator)
    share = mixed.lam / count
    blended = images + share[:, None, None, None] * 2 * (mixed.images - images)
    return Mixed(blended, mixed.labels_a, mixed.labels_b, 1 - share)


@breaks("blend_matches_its_two_labels", SoundMix, "partners")
def labels_of_others(self, labels, partner):
    """Return labels of other images than were blended."""
    return labels.flip(0)


class SoundPartner(Mix, frozen=True):
    """Blend halves with a second stream. Source: none."""

    name = "sound_partner"
    partner = "cb_sampler"

    def blend(self, images, told, generator):
        lam = images.new_full((len(images),), 0.5)
        others = self.others(images, told)
        return Mixed((images + others[0]) / 2, told.labels, others[1], lam)

    def others(self, images, told):
        return told.partner.images, told.partner.labels


@breaks("uses_its_second_stream", SoundPartner, "others")
def partner_in_vain(self, images, told):
    """Blend with images of the batch."""
    return images.flip(0), told.labels.flip(0)


class SoundHidden(SoundMix, frozen=True):
    """Blend halves inside the network. Source: none."""

    name = "sound_hidden"
    where = "hidden"

    def shares(self, images):
        import torch

        return images.new_full((len(images),), 0.5, dtype=torch.float32)


@breaks("blend_has_the_shape_of_its_batch", SoundHidden, "shares")
def in_the_precision_of_the_block(self, images):
    """Round the share of the loss as a block rounds its output."""
    return images.new_full((len(images),), 0.5)
