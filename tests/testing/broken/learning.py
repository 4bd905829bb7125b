"""Broken models, losses, class weights and regimes."""

from __future__ import annotations

from testing.broken.manners import Sound as SoundLoss
from testing.broken.manners import nll
from testing.broken.marks import breaks

from ltbench import Model, Phase, Regime, Weight

# --- models -----------------------------------------------------------------------------------------------------


class Sound(Model, frozen=True):
    """Be a small network. Source: none."""

    name = "sound_model"

    def build(self, channels, size, classes):
        from testing.broken.networks import Network

        return Network(channels, classes)


@breaks("network_returns_logits")
class ColourOnly(Sound, frozen=True):
    """Take images of three channels alone. Source: none."""

    name = "colour_only"

    def build(self, channels, size, classes):
        return Sound.build(self, 3, size, classes)


@breaks("network_has_a_classifier")
class OtherClassifier(Sound, frozen=True):
    """Return a copy as its classifier. Source: none."""

    name = "other_classifier"

    def build(self, channels, size, classes):
        from testing.broken.networks import WithOtherClassifier

        return WithOtherClassifier(channels, classes)


@breaks("network_has_a_classifier")
class FirstLayer(Sound, frozen=True):
    """Return a layer that makes no logits. Source: none."""

    name = "first_layer"

    def build(self, channels, size, classes):
        from testing.broken.networks import WithClassifierAside

        return WithClassifierAside(channels, classes)


@breaks("network_gets_gradients")
class DeadLayer(Sound, frozen=True):
    """Have a layer that nothing goes through. Source: none."""

    name = "dead_layer"

    def build(self, channels, size, classes):
        from torch import nn

        network = Sound.build(self, channels, size, classes)
        network.dead = nn.Linear(3, 3)
        return network


@breaks("normalisation_fits_the_channels")
class ThreeMeans(Sound, frozen=True):
    """Normalise three channels, however many there are. Source: none."""

    name = "three_means"

    def mean_std(self, channels):
        return (0.5,) * 3, (0.5,) * 3


@breaks("network_moves_between_devices")
class LostTensor(Sound, frozen=True):
    """Have a tensor that does not move with the network. Source: none."""

    name = "lost_tensor"

    def build(self, channels, size, classes):
        from testing.broken.networks import WithLostTensor

        return WithLostTensor(channels, classes)


# --- losses -----------------------------------------------------------------------------------------------------


@breaks("losses_are_per_sample")
class Column(SoundLoss, frozen=True):
    """Return a column. Source: none."""

    name = "column"

    def per_sample(self, logits, labels, counts):
        return nll(logits, labels)[:, None]


@breaks("losses_are_per_sample")
class DoublePrecision(SoundLoss, frozen=True):
    """Return another dtype. Source: none."""

    name = "double_precision"

    def per_sample(self, logits, labels, counts):
        return nll(logits.double(), labels)


@breaks("losses_do_not_depend_on_the_batch")
class MeanOfTheBatch(SoundLoss, frozen=True):
    """Give every sample the mean of its batch. Source: none."""

    name = "mean_of_the_batch"

    def per_sample(self, logits, labels, counts):
        return nll(logits, labels).mean().expand(len(labels))


@breaks("losses_have_a_gradient")
class NoGradient(SoundLoss, frozen=True):
    """Detach the losses. Source: none."""

    name = "no_gradient"

    def per_sample(self, logits, labels, counts):
        return nll(logits, labels).detach()


@breaks("losses_have_a_gradient")
class RightOrWrong(SoundLoss, frozen=True):
    """Count errors. Source: none."""

    name = "right_or_wrong"

    def per_sample(self, logits, labels, counts):
        return (logits.argmax(1) != labels).float() + 0 * logits.sum(1)


@breaks("losses_are_finite_for_rare_classes")
class LogOfCounts(SoundLoss, frozen=True):
    """Divide by the logarithm of the class count. Source: none."""

    name = "log_of_counts"

    def per_sample(self, logits, labels, counts):
        return nll(logits, labels) / counts.clamp(min=1).log()[labels]


@breaks("losses_are_finite_for_rare_classes")
class PriorOfNothing(SoundLoss, frozen=True):
    """Take the logarithm of a share that may be nothing. Source: none."""

    name = "prior_of_nothing"

    def per_sample(self, logits, labels, counts):
        return nll(logits + (counts / counts.sum()).log(), labels)


@breaks("losses_are_finite_for_large_logits")
class LogOfSoftmax(SoundLoss, frozen=True):
    """Take the logarithm of a probability that may be nothing. Source: none."""

    name = "log_of_softmax"

    def per_sample(self, logits, labels, counts):
        return -logits.softmax(1).log().gather(1, labels[:, None]).squeeze(1)


# --- on another device ------------------------------------------------------------------------------------------


@breaks("runs_on_the_device_of_its_inputs")
class OnTheCpu(SoundLoss, frozen=True):
    """Create a tensor on the CPU. Source: none."""

    name = "on_the_cpu"

    def per_sample(self, logits, labels, counts):
        import torch

        return nll(logits + torch.zeros(len(counts)), labels)


@breaks("runs_on_the_device_of_its_inputs")
class BackToTheCpu(SoundLoss, frozen=True):
    """Return losses on the CPU. Source: none."""

    name = "back_to_the_cpu"

    def per_sample(self, logits, labels, counts):
        return nll(logits.cpu(), labels.cpu())


@breaks("runs_on_the_device_of_its_inputs")
class ByNumpy(SoundLoss, frozen=True):
    """Compute margins by numpy. Source: none."""

    name = "by_numpy"

    def per_sample(self, logits, labels, counts):
        import numpy as np

        margin = logits.new_tensor(1 / np.sqrt(counts.clamp(min=1).numpy()))
        return nll(logits - margin, labels)


@breaks("runs_on_the_device_of_its_inputs")
class AskingForTheDevice(SoundLoss, frozen=True):
    """Do something else on a GPU. Source: none."""

    name = "asking_for_the_device"

    def per_sample(self, logits, labels, counts):
        return nll(2 * logits if logits.is_cuda else logits, labels)


@breaks("is_the_same_on_a_gpu")
class OfTheRealGpu(SoundLoss, frozen=True):
    """Do something else where there is a real GPU. Source: none."""

    name = "of_the_real_gpu"

    def per_sample(self, logits, labels, counts):
        import torch

        real = torch.cuda.is_available() and type(logits) is torch.Tensor and logits.is_cuda
        return nll(2 * logits if real else logits, labels)


# --- weights ----------------------------------------------------------------------------------------------------


class SoundWeight(Weight, frozen=True):
    """Weigh by the inverse. Source: none."""

    name = "sound_weight"

    def weights(self, counts):
        return 1 / counts.clamp(min=1)


@breaks("weights_are_per_class")
class OneForEachSize(SoundWeight, frozen=True):
    """Return a row and a column. Source: none."""

    name = "one_for_each_size"

    def weights(self, counts):
        return (1 / counts.clamp(min=1))[:, None].expand(-1, 24)


@breaks("weights_are_positive_and_finite")
class InverseOfNothing(SoundWeight, frozen=True):
    """Divide by counts as they are. Source: none."""

    name = "inverse_of_nothing"

    def weights(self, counts):
        return 1 / counts


@breaks("weights_are_positive_and_finite")
class NothingForOne(SoundWeight, frozen=True):
    """Give a class with a single image no weight. Source: none."""

    name = "nothing_for_one"

    def weights(self, counts):
        return (counts > 1).float()


@breaks("batch_loss_is_a_scalar")
class NotReduced(SoundWeight, frozen=True):
    """Return the losses as they are. Source: none."""

    name = "not_reduced"

    def reduce(self, losses, weights):
        return losses


# --- regimes ----------------------------------------------------------------------------------------------------


@breaks("phases_cover_the_training")
class BeforeTheEnd(Regime, frozen=True):
    """Stop early. Source: none."""

    name = "before_the_end"

    def phases(self):
        return [Phase(until=0.5), Phase(until=0.9)]


@breaks("phases_cover_the_training")
class BackAgain(Regime, frozen=True):
    """Go back. Source: none."""

    name = "back_again"

    def phases(self):
        return [Phase(until=0.8), Phase(until=0.4), Phase(until=1.0)]


@breaks("learning_rates_are_positive")
class NoRate(Regime, frozen=True):
    """Learn nothing in the end. Source: none."""

    name = "no_rate"

    def phases(self):
        return [Phase(until=0.8), Phase(until=1.0, lr_scale=0.0)]
