"""A prediction: the logits of a fit for test images, held-out images or those it was trained on, under one view.

    logits.safetensors    logits float32 [N, C], labels int64 [N]; classifier.norms and .bias float32 [C] if a
                          linear layer computes the logits. With E branches: branches float32 [E, N, C] instead of
                          logits, norms and bias [E, C]. With features: features float32 [E, N, D], what the
                          classifiers are given, and classifier.weights float32 [E, C, D] of linear layers. Of very
                          many classes logits.top and logits.below, or branches.top and .below, as
                          `ltbench.jobs.prediction_file` says
    meta.json             spec, cost, environment, plugins

A view gets normalised images, as the network does; a view that needs pixels has to undo the normalisation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from torch import Tensor, nn

from ltbench.core.spec import Job, Spec
from ltbench.engine import output_checks
from ltbench.engine.branched_network import BranchedNetwork
from ltbench.engine.determinism import autocast, reproducible
from ltbench.engine.environment import environment
from ltbench.engine.features import features_to_predict
from ltbench.engine.fit import training_subset
from ltbench.engine.modules import input_of
from ltbench.engine.network import normaliser
from ltbench.engine.stored_images import AnyImages, centre_of, in_batches
from ltbench.engine.stored_logits import stored_parts
from ltbench.engine.structure import classifier_of, classifiers_of
from ltbench.engine.subset import load
from ltbench.engine.tensor_files import write_tensors
from ltbench.engine.trained_network import trained_classifier, trained_network
from ltbench.engine.views import ViewImages, view_of
from ltbench.errors import JobFailed
from ltbench.jobs.prediction_file import batch_size
from ltbench.stages import Model
from ltbench.store.format import write_json
from ltbench.suite.recipe import Recipe

if TYPE_CHECKING:
    from ltbench.executor import Context, Techniques


def predict(job: Job, context: Context) -> None:
    """Store the logits of a fit for the images of a split, unless the store has them.

    Raises `JobFailed` if the view is missing, raises or changes the shape of images, or a logit is not finite.
    """
    if context.store.has(job.key):
        return
    began = time.perf_counter()
    device, fit = torch.device(context.device), job.spec["fit"]
    spec = context.store.meta(fit)["spec"]
    features, split = job.spec.get("features", False), job.spec["split"]
    on_features = spec.get("features", False)
    model = context.registry.build_as(spec["model"], Model)
    recipe = msgspec.convert(spec["recipe"], Recipe).resolved()
    with output_checks.naming_techniques(), reproducible(device):
        view, view_images = view_of(job.spec["view"], context.registry)
        images: AnyImages
        if on_features:
            images, labels, info = features_to_predict(spec, job.spec, context)
            network = trained_classifier(fit, context, info, device)
            prepare: ViewImages = _unchanged
        else:
            subset = training_subset(spec, context) if split == "train" else load(*_where(spec, context))
            images, labels = (subset.images, subset.labels) if split == "train" else subset.split(split)
            images = centre_of(images, subset.info.size)
            network = trained_network(fit, context, subset.info, device)
            prepare = prepared(normaliser(model, subset.info, device), view_images)

        def run(batch: Tensor) -> tuple[Tensor, ...]:
            return infer(network, prepare(batch.to(device)), recipe.precision, features=features)

        def stored(batch: Tensor) -> dict[str, Tensor]:
            results = run(batch)
            finite.append(all(bool(result.isfinite().all()) for result in results))
            logits, *taken = results
            # Batch by batch, as logits of thousands of classes take gigabytes.
            return {**stored_parts(logits), **({"features": taken[0]} if taken else {})}

        finite: list[bool] = []
        parts = in_batches(images, batch_size(images.shape))
        first = next(parts)
        with output_checks.leaving_no_state(model):
            batches = [stored(first)]
        batches += map(stored, parts)
        classifier = linear_classifier(classifiers_of(network), lambda: run(first[:2])[0], weights=features)
    if not all(finite):
        raise JobFailed("logits are not finite", where=f"model '{model.label}', fit {fit}")
    seconds = time.perf_counter() - began
    with context.store.writing(job.key) as folder:
        tensors = {part: torch.cat([batch.pop(part) for batch in batches], dim=1) for part in tuple(batches[0])}
        features_part = {"features": found} if (found := tensors.pop("features", None)) is not None else {}
        branches = len(next(iter(tensors.values())))
        logits = {f"branches{part}" if branches > 1 else f"logits{part}": found if branches > 1 else found[0]
                  for part, found in tensors.items()}  # fmt: skip
        write_tensors(folder / "logits.safetensors", {**logits, **features_part, "labels": labels, **classifier})
        meta = {
            "spec": job.spec,
            "cost": {"predict_seconds": seconds},
            "environment": environment(device),
            # With those of the training: if their code changes, the logits are as stale as the network.
            "plugins": [
                *context.store.meta(fit)["plugins"],
                *([] if view is None else [context.registry.provenance(view)]),
            ],
        }
        write_json(folder / "meta.json", meta)


def _where(spec: Spec, context: Context) -> tuple[Any, Techniques, Path]:
    return spec["data"], context.registry, context.data_root


def _unchanged(features: Tensor) -> Tensor:
    return features


def prepared(normalise: ViewImages, view_images: ViewImages) -> ViewImages:
    """Return a function from bytes [B, channels, size, size] to what the network takes.

    normalise: as `normaliser` returns it; view_images: of a view.
    """
    return lambda batch: view_images(normalise(batch.float().mul_(1 / 255))).contiguous(
        memory_format=torch.channels_last
    )


@torch.inference_mode()
def infer(network: nn.Module, prepared: Tensor, precision: str, *, features: bool) -> tuple[Tensor, ...]:
    """Return logits [E, B, C] and, with `features`, features [E, B, D], float32 on the CPU; E is 1 without branches.

    prepared: what the network takes.
    """
    with autocast(precision, prepared.device):
        results = outputs_of(network, prepared, features=features)
    return tuple(result.float().cpu() for result in results)


def outputs_of(network: nn.Module, images: Tensor, *, features: bool) -> tuple[Tensor, ...]:
    """Return logits float [E, B, C] and, with `features`, what the classifiers are given, float [E, B, D].

    Raises `JobFailed` if the classifier is not given one row of features per image.
    """
    if isinstance(network, BranchedNetwork):
        return network.run(images)[: 1 + features]
    if not features:
        return (network(images)[None],)
    with input_of(classifier_of(network)) as given:
        logits = network(images)
    # Shapes, as `len` would fix the number of images of a traced program.
    if len(given) != 1 or given[0].dim() != 2 or given[0].shape[0] != images.shape[0]:
        raise JobFailed(
            "the network has no features: its classifier is not given one row of numbers per image",
            fix="leave out the posthoc that needs features, or use another model",
        )
    return logits[None], given[0][None]


def linear_classifier(
    layers: Sequence[nn.Module], predict: Callable[[], Tensor], *, weights: bool = False
) -> dict[str, Tensor]:
    """Return the weight norm and bias of each class, float32 [C] or [E, C] for several branches.

    layers: the classifier of each branch; predict: returns some logits, [E, B, C], to check that they are what the
    classifiers return, unchanged; weights: whether to return them, float32 [C, D] or [E, C, D], too. Returns nothing if
    no linear layers compute the logits.
    """
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    if len(linear) < len(layers):
        return {}
    returned: list[Tensor] = []
    products: list[Tensor] = []

    def keep(layer: nn.Linear, given: tuple[Tensor], out: Tensor) -> None:
        returned.append(out.float().cpu())
        products.append(nn.functional.linear(given[0], layer.weight, layer.bias).float().cpu())

    handles = [layer.register_forward_hook(keep) for layer in linear]
    try:
        logits = predict()
    finally:
        for handle in handles:
            handle.remove()
    if len(returned) != len(logits) or not torch.equal(torch.stack(returned), logits):
        return {}
    # A subclass of the linear layer may scale or normalise.
    if not torch.allclose(torch.stack(products), logits, rtol=1e-3, atol=1e-3 * float(logits.abs().max())):
        return {}
    norms = torch.stack([layer.weight.detach().float().norm(dim=1) for layer in linear])
    biases = torch.stack([_bias(layer) for layer in linear])
    parts = {"classifier.norms": norms, "classifier.bias": biases}
    if weights:
        parts["classifier.weights"] = torch.stack([layer.weight.detach().float().cpu() for layer in linear])
    return {name: part[0] if len(linear) == 1 else part for name, part in parts.items()}


def _bias(layer: nn.Linear) -> Tensor:
    bias: Tensor | None = layer.bias
    return torch.zeros(layer.out_features) if bias is None else bias.detach().float().cpu()
