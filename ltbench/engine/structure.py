"""The network of a fit: model, fine-tuning, head and branches, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from ltbench.core.spec import Spec, stream_seed
from ltbench.engine import output_checks
from ltbench.engine.branched_network import BranchedNetwork
from ltbench.engine.determinism import seeded
from ltbench.engine.feature_network import FeatureNetwork, backbone_of, classifier_alone
from ltbench.engine.modules import evaluating, replace_module
from ltbench.engine.network import build, measure, measure_for
from ltbench.engine.parameter_groups import ParameterRules
from ltbench.executor import Techniques
from ltbench.stages import Branches, DatasetInfo, Finetune, Head, Model, Sampler, Technique

if TYPE_CHECKING:
    from ltbench.stages import Batches


class Structure:
    """The techniques that make the network of a fit."""

    def __init__(self, spec: Spec, registry: Techniques, *, trained: bool = False) -> None:
        """spec: of the fit; trained: whether the weights of the network are read from a file afterwards."""
        self.trained = trained
        self.seed: int = spec["seed"]
        self.model = registry.build_as(spec["model"], Model)
        self.finetune = None if "finetune" not in spec else registry.build_as(spec["finetune"], Finetune)
        self.head = None if "head" not in spec else registry.build_as(spec["head"], Head)
        self.branches = None if "branches" not in spec else registry.build_as(spec["branches"], Branches)
        self.second = None if "stream" not in spec else registry.build_as(spec["stream"], Sampler)
        """The sampler of the second stream of the branches."""
        self.on_features: bool = spec.get("features", False)
        """Whether the network gets features, and is only the classifier."""
        self.rules = ParameterRules()
        """Which parameters of the network that was built last learn."""
        self._images: Batches | None = None

    @property
    def looks_at_images(self) -> bool:
        """Whether initial weights depend on training images."""
        return type(self.model).initialise is not Model.initialise or _initialises(self.finetune)

    def build(
        self, info: DatasetInfo, counts: Tensor, device: torch.device, images: Batches | None = None
    ) -> nn.Module:
        """Return the network with the initial weights of the fit's seed, channels_last, on the device.

        counts: int64 [C]; images: training images on the device, or their features, for the weights that depend on them;
        None leaves those as they are. Raises `JobFailed` if a technique returns something wrong, or the network lacks what one needs.
        """
        self.rules, self._images = ParameterRules(), images
        if self.on_features:
            network = self._classifier_alone(info, counts, device)
        elif self.branches is None:
            network = self._one(info, counts, device, 0)
        else:
            network = self._branched(self.branches, info, counts, device)
        moved: nn.Module = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return moved

    def _one(self, info: DatasetInfo, counts: Tensor, device: torch.device, number: int) -> nn.Module:
        """Return the network of one branch."""
        # The first branch has the weights of the network without branches.
        seed = stream_seed(self.seed, f"branch {number}") if number else self.seed
        network = build(self.model, info, seed, device, trained=self.trained)
        self.rules.add_model(self.model, network)
        if self._images is not None and type(self.model).initialise is not Model.initialise:
            self._initialise(self.model, network, self._images)
        before = set(network.parameters())
        if self.finetune is not None:
            with seeded(seed, "finetune", torch.device("cpu")), output_checks.leaving_no_state(self.finetune):
                network = check_network(self.finetune, self.finetune.adapt(network))
        if self.head is not None:
            self._replace_classifier(self.head, network, len(info.classes), counts, seed)
        if self.finetune is not None:
            network.to(device)
            self.rules.add_finetune(self.finetune, network)
            added = set(network.parameters()) - before
            image = torch.ones(1, info.channels, info.size, info.size, device=device)
            self.rules.check_effect(self.finetune, network, added, image)
            if self._images is not None and _initialises(self.finetune):
                self._initialise(self.finetune, network, self._images)
        return network

    @staticmethod
    def _initialise(technique: Model | Finetune, network: nn.Module, images: Batches) -> None:
        """Let a technique set initial weights; it cannot change anything else of the network."""
        with evaluating(network), torch.no_grad(), output_checks.leaving_no_state(technique):
            technique.initialise(network, images)

    def _replace_classifier(self, head: Head, network: nn.Module, classes: int, counts: Tensor, seed: int) -> None:
        old = classifier_of(network)
        width = feature_width(old)
        if width is None:
            raise output_checks.wrong_output(self.model, f"a classifier {type(old).__name__}", "a linear layer, which "
                                             f"head '{head.label}' replaces")  # fmt: skip
        with seeded(seed, "head", torch.device("cpu")), output_checks.leaving_no_state(head):
            new = head.build(width, classes, counts.cpu())
        if not isinstance(new, nn.Module):
            raise output_checks.wrong_output(head, output_checks.describe(new), "a torch.nn.Module")
        replace_module(network, old, new)
        if classifier_of(network) is not new:
            raise output_checks.wrong_output(self.model, "a classifier that is no part of its network",
                                             f"one that head '{head.label}' can replace")  # fmt: skip

    def _classifier_alone(self, info: DatasetInfo, counts: Tensor, device: torch.device) -> nn.Module:
        """Return the network of a fit that trains on features."""
        network = FeatureNetwork(classifier_alone(self.model, info, self.seed))
        if self.head is not None:
            self._replace_classifier(self.head, network, len(info.classes), counts, self.seed)
        network.to(device)
        if self._images is not None and self.finetune is not None and _initialises(self.finetune):
            self._initialise(self.finetune, network, self._images)
        return network

    def size(self, network: nn.Module, info: DatasetInfo) -> tuple[int, int]:
        """Return the multiply-adds per image and the parameters of a network, with a backbone that it is without."""
        parameters = sum(p.numel() for p in network.parameters())
        if not self.on_features:
            return measure(self.model, network, info), parameters
        backbone = backbone_of(self.model, info.channels, info.size, len(info.classes))
        width = feature_width(classifier_of(network)) or backbone.width
        macs = measure_for(self.model, network, (width,), len(info.classes))
        return backbone.macs + macs, backbone.parameters + parameters

    def _branched(self, branches: Branches, info: DatasetInfo, counts: Tensor, device: torch.device) -> nn.Module:
        with output_checks.leaving_no_state(branches):
            number: object = branches.number()
        if not (isinstance(number, int) and number >= 2):
            raise output_checks.wrong_output(branches, f"{number!r} branches", "an integer of at least 2")
        networks = [self._one(info, counts, device, each) for each in range(number)]
        if not callable(getattr(networks[0], "blocks", None)):
            raise output_checks.wrong_output(self.model, "a network without blocks()", "one with them, for branches")
        blocks = len(cast("Any", networks[0]).blocks())
        with output_checks.leaving_no_state(branches):
            shared: object = branches.shared(blocks)
        if not (isinstance(shared, int) and 0 <= shared <= blocks):
            raise output_checks.wrong_output(branches, f"{shared!r} shared blocks", f"an integer from 0 to {blocks}")
        return BranchedNetwork(networks, shared, branches.merge)


def _initialises(finetune: Finetune | None) -> bool:
    return finetune is not None and type(finetune).initialise is not Finetune.initialise


def check_network(technique: Technique, network: object) -> nn.Module:
    """Return the network if it is one; raise `JobFailed` naming the technique otherwise."""
    if not (isinstance(network, nn.Module) and callable(getattr(network, "get_classifier", None))):
        raise output_checks.wrong_output(
            technique, output_checks.describe(network), "a torch.nn.Module with get_classifier()"
        )
    return network


def classifier_of(network: nn.Module) -> nn.Module:
    """Return the classifier of a network."""
    return cast("nn.Module", cast("Any", network).get_classifier())


def classifiers_of(network: nn.Module) -> tuple[nn.Module, ...]:
    """Return the classifiers of the branches of a network: one if it has no branches."""
    return tuple(network.get_classifier()) if isinstance(network, BranchedNetwork) else (classifier_of(network),)


def feature_width(classifier: nn.Module) -> int | None:
    """Return the number of features that a classifier is given; None if it does not say."""
    width = getattr(classifier, "in_features", None)
    return width if isinstance(width, int) else None
