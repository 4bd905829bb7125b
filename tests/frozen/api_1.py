"""A plugin as it was written for version 1 of the hooks. Frozen: it is never edited, and goes on to work."""

from typing import Annotated

from ltbench import (
    Augment,
    Dataset,
    DatasetInfo,
    Ensemble,
    ExecutorOffer,
    Images,
    Loss,
    Member,
    Meta,
    Metric,
    Mix,
    Mixed,
    Model,
    Phase,
    Posthoc,
    Profile,
    Regime,
    Sampler,
    View,
    Weight,
    hookimpl,
)  # fmt: skip

LTBENCH_API = 1


class FrozenImages(Dataset):
    """Noise in four shades. Source: none."""

    name = "frozen_images"

    def info(self, root):
        return DatasetInfo(classes=("a", "b", "c", "d"), train_counts=(40,) * 4, test_counts=(10,) * 4, channels=1,
                           size=8, mean=(0.5,), std=(0.25,), fingerprint="frozen")  # fmt: skip

    def locate(self, root):
        return "made here"

    def load(self, root):
        import numpy as np

        def part(each, seed):
            labels = np.arange(4).repeat(each)
            noise = np.random.default_rng(seed).integers(0, 64, (len(labels), 1, 8, 8))
            return (noise + 60 * labels[:, None, None, None]).astype(np.uint8), labels

        (train, train_labels), (test, test_labels) = part(40, 0), part(10, 1)
        return Images(train_images=train, train_labels=train_labels, test_images=test, test_labels=test_labels)


class FrozenProfile(Profile):
    """The first half of the classes whole, the others cut. Source: none."""

    name = "frozen_profile"

    def counts(self, available, imbalance_factor):
        half = len(available) // 2
        return [*available[:half], *(max(1, int(n / imbalance_factor)) for n in available[half:])]


class FrozenSampler(Sampler):
    """Every image once. Source: none."""

    name = "frozen_sampler"

    def epoch(self, pool, labels, counts, batch_size, generator):
        return pool[pool.new_empty(len(pool)).double().uniform_(generator=generator).argsort()]


class FrozenAugment(Augment):
    """Each image as it is or upside down. Source: none."""

    name = "frozen_augment"

    def apply(self, images, generator):
        up = images.new_empty(len(images)).uniform_(generator=generator) < 0.5
        images = images.clone()
        images[up] = images[up].flip(2)
        return images


class FrozenMix(Mix):
    """The mean of an image and its successor. Source: none."""

    name = "frozen_mix"

    def mix(self, images, labels, counts, generator):
        lam = images.new_full((len(images),), 0.5)
        return Mixed(images=(images + images.roll(1, 0)) / 2, labels_a=labels, labels_b=labels.roll(1), lam=lam)


class FrozenModel(Model):
    """One linear layer. Source: none."""

    name = "frozen_model"

    def build(self, channels, size, classes):
        from torch import nn

        class Linear(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(channels * size * size, classes)

            def get_classifier(self):
                return self.fc

            def forward(self, images):
                return self.fc(images.flatten(1))

        return Linear()


class FrozenLoss(Loss):
    """Cross-entropy with a temperature. Source: none."""

    name = "frozen_loss"
    temperature: Annotated[float, Meta(gt=0, description="what logits are divided by")] = 2.0

    def per_sample(self, logits, labels, counts):
        return -(logits / self.temperature).log_softmax(1).gather(1, labels[:, None])[:, 0]


class FrozenWeight(Weight):
    """One over the root of the count. Source: none."""

    name = "frozen_weight"

    def weights(self, counts):
        return counts.clamp(min=1).float().rsqrt()


class FrozenRegime(Regime):
    """Weights in the last half. Source: none."""

    name = "frozen_regime"

    def phases(self):
        return [Phase(until=0.5, weight=False), Phase(until=1.0)]


class FrozenView(View):
    """The image and its negative. Source: none."""

    name = "frozen_view"

    def views(self):
        return {"identity": lambda images: images, "negative": lambda images: -images}

    def merge(self, logits):
        import numpy as np

        odds = np.exp(logits - logits.max(2, keepdims=True))
        return (odds / odds.sum(2, keepdims=True)).mean(0)


class FrozenPosthoc(Posthoc):
    """Logits less the logarithm of the counts. Source: none."""

    name = "frozen_posthoc"

    def adjust(self, logits, counts):
        import numpy as np

        return logits - np.log(np.maximum(counts, 1)).astype(logits.dtype)


class FrozenEnsemble(Ensemble):
    """Two seeds. Source: none."""

    name = "frozen_ensemble"

    def members(self, counts):
        return [Member(), Member(seed_offset=1000)]

    def merge(self, probabilities):
        return probabilities.mean(0)


class FrozenMetric(Metric):
    """How sure it is. Source: none."""

    name = "frozen_metric"

    def compute(self, probabilities, labels, counts):
        return {"frozen_sure": float(probabilities.max(1).mean())}


class FrozenExecutor(ExecutorOffer):
    """Jobs one after another. Source: none."""

    name = "frozen_executor"

    def make(self, context, terms):
        from ltbench.executors.inline import Inline

        return Inline(context, terms)


class Frozen:
    def names(self):
        return ["frozen_member"]

    def technique(self, name):
        return type(Loss)(name, (FrozenLoss,), {"name": name, "__module__": __name__})


@hookimpl
def ltbench_datasets():
    return [FrozenImages]


@hookimpl
def ltbench_profiles():
    return [FrozenProfile]


@hookimpl
def ltbench_samplers():
    return [FrozenSampler]


@hookimpl
def ltbench_augments():
    return [FrozenAugment]


@hookimpl
def ltbench_mixes():
    return [FrozenMix]


@hookimpl
def ltbench_models():
    return [FrozenModel]


@hookimpl
def ltbench_losses():
    return [FrozenLoss]


@hookimpl
def ltbench_weights():
    return [FrozenWeight]


@hookimpl
def ltbench_regimes():
    return [FrozenRegime]


@hookimpl
def ltbench_views():
    return [FrozenView]


@hookimpl
def ltbench_posthocs():
    return [FrozenPosthoc]


@hookimpl
def ltbench_ensembles():
    return [FrozenEnsemble]


@hookimpl
def ltbench_metrics():
    return [FrozenMetric]


@hookimpl
def ltbench_suites():
    return []


@hookimpl
def ltbench_families():
    return [Frozen()]


@hookimpl
def ltbench_executors():
    return [FrozenExecutor]
