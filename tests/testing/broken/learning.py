"""Broken models, losses, class weights and regimes."""

from __future__ import annotations

from testing.broken.manners import Sound as SoundLoss
from testing.broken.manners import nll
from testing.broken.marks import breaks

from ltbench import Model, Phase, Regime, TimmNetwork, Weight

CALLS: dict[str, int] = {}


@breaks("calls_do_not_depend_on_earlier_ones", SoundLoss, "of")
def anneals_by_a_count(self, outputs, labels, counts, moment):
    """Weigh the loss by a count of the calls since the start of the training."""
    CALLS["loss"] = 1 if moment.step == 0 else CALLS.get("loss", 0) + 1
    return sum(nll(logits, labels) for logits in outputs.branches) / CALLS["loss"]


# --- models -----------------------------------------------------------------------------------------------------


class Sound(Model, frozen=True):
    """Be a small network. Source: none."""

    name = "sound_model"

    def build(self, channels, size, classes):
        from testing.broken.networks import Network

        return Network(channels, classes)


@breaks("network_returns_logits", Sound, "build")
def colour_only(self, channels, size, classes):
    """Take images of three channels alone."""
    return Sound.build(self, 3, size, classes)


@breaks("network_returns_logits", Sound, "build")
def many_classifiers(self, channels, size, classes):
    """Return the logits of three experts side by side in training."""
    from testing.broken.networks import WithManyClassifiers

    return WithManyClassifiers(channels, classes)


@breaks("network_has_a_classifier", Sound, "build")
def other_classifier(self, channels, size, classes):
    """Return a copy as its classifier."""
    from testing.broken.networks import WithOtherClassifier

    return WithOtherClassifier(channels, classes)


@breaks("network_has_a_classifier", Sound, "build")
def first_layer(self, channels, size, classes):
    """Return a layer that makes no logits."""
    from testing.broken.networks import WithClassifierAside

    return WithClassifierAside(channels, classes)


@breaks("network_gets_gradients", Sound, "build")
def dead_layer(self, channels, size, classes):
    """Have a layer that nothing goes through."""
    from torch import nn

    network = Sound.build(self, channels, size, classes)
    network.dead = nn.Linear(3, 3)
    return network


@breaks("normalisation_fits_the_channels", Sound, "mean_std")
def three_means(self, channels):
    """Normalise three channels, however many there are."""
    return (0.5,) * 3, (0.5,) * 3


@breaks("network_moves_between_devices", Sound, "build")
def lost_tensor(self, channels, size, classes):
    """Have a tensor that does not move with the network."""
    from testing.broken.networks import WithLostTensor

    return WithLostTensor(channels, classes)


class SoundBlocks(Model, frozen=True):
    """Two convolutions, which are the blocks. Source: none."""

    name = "sound_blocks"
    has_blocks = True

    def build(self, channels, size, classes):
        from testing.broken.networks import OfBlocks

        return OfBlocks(channels, classes)


@breaks("blocks_make_the_features", SoundBlocks, "build")
def forgotten_block(self, channels, size, classes):
    """Name not all layers as blocks."""
    from testing.broken.networks import WithForgottenBlock

    return WithForgottenBlock(channels, classes)


@breaks("blocks_make_the_features", SoundBlocks, "build")
def logits_as_features(self, channels, size, classes):
    """Ignore the argument of the head."""
    from testing.broken.networks import WithLogitsAsFeatures

    return WithLogitsAsFeatures(channels, classes)


class SoundTimm(Model, frozen=True):
    """A small network of timm. Source: none."""

    name = "sound_timm"

    def build(self, channels, size, classes):
        import timm

        return timm.create_model("test_resnet", in_chans=channels, num_classes=classes)

    def rebuild(self, channels, size, classes):
        return self.build(channels, size, classes)

    def in_timm(self, channels, size, classes):
        return TimmNetwork(name="test_resnet", arguments={"in_chans": channels, "num_classes": classes})


@breaks("rebuilt_network_takes_the_weights", SoundTimm, "rebuild")
def other_classes(self, channels, size, classes):
    """Have another classifier when it is built again."""
    import timm

    return timm.create_model("test_resnet", in_chans=channels, num_classes=classes + 1)


@breaks("timm_builds_the_network_that_is_named", SoundTimm, "in_timm")
def other_network(self, channels, size, classes):
    """Name another network of timm."""
    return TimmNetwork(name="test_efficientnet", arguments={"in_chans": channels, "num_classes": classes})


@breaks("timm_builds_the_network_that_is_named", SoundTimm, "in_timm")
def left_out_resize(self, channels, size, classes):
    """Say that images are resized, which they are not."""
    arguments = {"in_chans": channels, "num_classes": classes}
    return TimmNetwork(name="test_resnet", arguments=arguments, resize=64)


# --- losses -----------------------------------------------------------------------------------------------------


@breaks("losses_are_per_sample", SoundLoss, "per_sample")
def column(self, logits, labels, counts):
    """Return a column."""
    return nll(logits, labels)[:, None]


@breaks("losses_are_per_sample", SoundLoss, "per_sample")
def double_precision(self, logits, labels, counts):
    """Return another dtype."""
    return nll(logits.double(), labels)


@breaks("losses_do_not_depend_on_the_batch", SoundLoss, "per_sample")
def mean_of_the_batch(self, logits, labels, counts):
    """Give every sample the mean of its batch."""
    return nll(logits, labels).mean().expand(len(labels))


@breaks("losses_have_a_gradient", SoundLoss, "per_sample")
def no_gradient(self, logits, labels, counts):
    """Detach the losses."""
    return nll(logits, labels).detach()


@breaks("losses_have_a_gradient", SoundLoss, "per_sample")
def right_or_wrong(self, logits, labels, counts):
    """Count errors."""
    return (logits.argmax(1) != labels).float() + 0 * logits.sum(1)


@breaks("losses_are_finite_for_rare_classes", SoundLoss, "per_sample")
def log_of_counts(self, logits, labels, counts):
    """Divide by the logarithm of the class count."""
    return nll(logits, labels) / counts.clamp(min=1).log()[labels]


@breaks("losses_are_finite_for_rare_classes", SoundLoss, "per_sample")
def prior_of_nothing(self, logits, labels, counts):
    """Take the logarithm of a share that may be nothing."""
    return nll(logits + (counts / counts.sum()).log(), labels)


@breaks("losses_are_finite_for_large_logits", SoundLoss, "per_sample")
def log_of_softmax(self, logits, labels, counts):
    """Take the logarithm of a probability that may be nothing."""
    return -logits.softmax(1).log().gather(1, labels[:, None]).squeeze(1)


# --- on another device ------------------------------------------------------------------------------------------


@breaks("runs_on_the_device_of_its_inputs", SoundLoss, "per_sample")
def on_the_cpu(self, logits, labels, counts):
    """Create a tensor on the CPU."""
    import torch

    return nll(logits + torch.zeros(len(counts)), labels)


@breaks("runs_on_the_device_of_its_inputs", SoundLoss, "per_sample")
def back_to_the_cpu(self, logits, labels, counts):
    """Return losses on the CPU."""
    return nll(logits.cpu(), labels.cpu())


@breaks("runs_on_the_device_of_its_inputs", SoundLoss, "per_sample")
def by_numpy(self, logits, labels, counts):
    """Compute margins by numpy."""
    import numpy as np

    margin = logits.new_tensor(1 / np.sqrt(counts.clamp(min=1).numpy()))
    return nll(logits - margin, labels)


@breaks("runs_on_the_device_of_its_inputs", SoundLoss, "per_sample")
def asking_for_the_device(self, logits, labels, counts):
    """Do something else on a GPU."""
    return nll(2 * logits if logits.is_cuda else logits, labels)


@breaks("is_the_same_on_a_gpu", SoundLoss, "per_sample")
def of_the_real_gpu(self, logits, labels, counts):
    """Do something else where there is a real GPU."""
    import torch

    real = torch.cuda.is_available() and type(logits) is torch.Tensor and logits.is_cuda
    return nll(2 * logits if real else logits, labels)


# --- weights ----------------------------------------------------------------------------------------------------


class SoundWeight(Weight, frozen=True):
    """Weigh by the inverse. Source: none."""

    name = "sound_weight"

    def weights(self, counts):
        return 1 / counts.clamp(min=1)


@breaks("weights_are_per_class", SoundWeight, "weights")
def one_for_each_size(self, counts):
    """Return a row and a column."""
    return (1 / counts.clamp(min=1))[:, None].expand(-1, 24)


@breaks("weights_are_positive_and_finite", SoundWeight, "weights")
def inverse_of_nothing(self, counts):
    """Divide by counts as they are."""
    return 1 / counts


@breaks("weights_are_positive_and_finite", SoundWeight, "weights")
def nothing_for_one(self, counts):
    """Give a class with a single image no weight."""
    return (counts > 1).float()


@breaks("batch_loss_is_a_scalar", SoundWeight, "reduce")
def not_reduced(self, losses, weights):
    """Return the losses as they are."""
    return losses


# --- regimes ----------------------------------------------------------------------------------------------------


@breaks("phases_cover_the_training", Regime, "phases")
def before_the_end(self):
    """Stop early."""
    return [Phase(until=0.5), Phase(until=0.9)]


@breaks("phases_cover_the_training", Regime, "phases")
def back_again(self):
    """Go back."""
    return [Phase(until=0.8), Phase(until=0.4), Phase(until=1.0)]


@breaks("learning_rates_are_positive", Regime, "phases")
def no_rate(self):
    """Learn nothing in the end."""
    return [Phase(until=0.8), Phase(until=1.0, lr_scale=0.0)]


@breaks("phases_cover_the_training", Regime, "phases")
def beyond_the_schedule(self):
    """Train on after the last learning rate."""
    return [Phase(until=1.0), Phase(until=1.1)]


@breaks("phases_cover_the_training", Regime, "phases")
def factors_without_an_optimiser(self):
    """Scale the classifier in the middle of a schedule."""
    return [Phase(until=0.5), Phase(until=1.0, classifier="scale")]


@breaks("phases_change_what_they_can", Regime, "phases")
def misspelt(self):
    """Ask for something that there is not."""
    return [Phase(until=0.5), Phase(until=1.0, batch_norm="static")]


@breaks("phases_change_what_they_can", Regime, "phases")
def without_weights(self):
    """Leave no room for weights."""
    return [Phase(until=1.0, max_norm=0.0)]


@breaks("phases_change_what_they_can", Regime, "phases")
def growing_weights(self):
    """Reward large weights."""
    return [Phase(until=1.0, weight_decay_scale=-1.0)]


@breaks("phases_name_techniques", Regime, "phases")
def with_a_loss_that_there_is_not(self):
    """Name a loss that nobody has."""
    return [Phase(until=1.0, loss="no_such_loss")]


@breaks("phases_name_techniques", Regime, "phases")
def with_a_technique_of_another_stage(self):
    """Name a mix as a loss."""
    return [Phase(until=1.0, loss="mixup")]


@breaks("teacher_can_be_trained")
class TaughtByNobody(Regime, frozen=True):
    """Have a teacher that nobody offers. Source: none."""

    name = "taught_by_nobody"
    teacher = "no_such_technique"

    def phases(self):
        return [Phase(until=1.0)]
