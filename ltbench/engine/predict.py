"""A prediction: the logits of a fit for the test images, under one view of them.

    logits.safetensors    logits float32 [N, C], labels int64 [N]; classifier.norms and .bias float32 [C] if a
                          linear layer computes the logits. With E branches: branches float32 [E, N, C] instead of
                          logits, norms and bias [E, C]
    meta.json             spec, cost, environment, plugins

A view gets normalised images, as the network does; a view that needs pixels has to undo the normalisation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from torch import Tensor, nn

from ltbench.core.spec import Job
from ltbench.engine import output_checks
from ltbench.engine.branched_network import BranchedNetwork
from ltbench.engine.determinism import autocast, reproducible
from ltbench.engine.environment import environment
from ltbench.engine.network import normaliser
from ltbench.engine.structure import Structure, classifiers_of
from ltbench.engine.subset import load
from ltbench.engine.tensor_files import read_tensors, write_json, write_tensors
from ltbench.errors import JobFailed
from ltbench.stages import Model, View
from ltbench.suite.recipe import Recipe

if TYPE_CHECKING:
    from ltbench.executor import Context, Techniques

ViewImages = Callable[[Tensor], Tensor]
"""Images float [B, channels, size, size] -> the same shape."""

_BATCH = 500
"""Images per batch: 250 to 500 are fastest on a CPU; 2,000 take twice as long."""


def predict(job: Job, context: Context) -> None:
    """Store the logits of a fit for the test images, unless the store has them.

    Raises `JobFailed` if the view is missing, raises or changes the shape of images, or a logit is not finite.
    """
    if context.store.has(job.key):
        return
    began = time.perf_counter()
    device, fit = torch.device(context.device), job.spec["fit"]
    spec = context.store.meta(fit)["spec"]
    subset = load(spec["data"], context.registry, context.data_root)
    model = context.registry.build_as(spec["model"], Model)
    recipe = msgspec.convert(spec["recipe"], Recipe).resolved()
    with output_checks.naming_techniques(), reproducible(device):
        view, view_images = _view(job.spec["view"], context.registry)
        normalise = normaliser(model, subset.info, device)
        counts = torch.tensor(context.store.meta(fit)["data"]["counts"], device=device)
        network = Structure(spec, context.registry).build(subset.info, counts, device)
        network.load_state_dict(read_tensors(context.store.checked(fit) / "weights.safetensors")[0])
        network.eval()

        @torch.inference_mode()
        def logits_of(images: Tensor) -> Tensor:
            """Return the logits of each branch, float32 [E, B, C]; E is 1 without branches."""
            viewed = view_images(normalise(images.to(device).float().mul_(1 / 255)))
            with autocast(recipe.precision, device):
                given = viewed.contiguous(memory_format=torch.channels_last)
                logits: Tensor = network.run(given)[0] if isinstance(network, BranchedNetwork) else network(given)[None]
            return logits.float().cpu()

        first, *rest = torch.split(subset.test_images, _BATCH)
        with output_checks.leaving_no_state(model):
            first_logits = logits_of(first)
        branches = torch.cat([first_logits, *map(logits_of, rest)], dim=1)
        classifier = linear_classifier(classifiers_of(network), lambda: logits_of(subset.test_images[:2]))
    if not bool(branches.isfinite().all()):
        raise JobFailed("logits are not finite", where=f"model '{model.label}', fit {fit}")
    seconds = time.perf_counter() - began
    with context.store.writing(job.key) as folder:
        logits = {"branches": branches} if len(branches) > 1 else {"logits": branches[0]}
        write_tensors(folder / "logits.safetensors", {**logits, "labels": subset.test_labels, **classifier})
        meta = {
            "spec": job.spec,
            "cost": {"predict_seconds": seconds},
            "environment": environment(device),
            "plugins": [] if view is None else [context.registry.provenance(view)],
        }
        write_json(folder / "meta.json", meta)


def linear_classifier(layers: Sequence[nn.Module], predict: Callable[[], Tensor]) -> dict[str, Tensor]:
    """Return the weight norm and bias of each class, float32 [C] or [E, C] for several branches.

    layers: the classifier of each branch; predict: returns some logits, [E, B, C], to check that they are what the
    classifiers return, unchanged. Returns nothing if no linear layers compute the logits.
    """
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    if len(linear) < len(layers):
        return {}
    returned: list[Tensor] = []
    handles = [layer.register_forward_hook(lambda _module, _given, out: returned.append(out)) for layer in linear]
    try:
        logits = predict()
    finally:
        for handle in handles:
            handle.remove()
    if len(returned) != len(logits) or not torch.equal(torch.stack(returned).float().cpu(), logits):
        return {}
    norms = torch.stack([layer.weight.detach().float().norm(dim=1) for layer in linear])
    biases = torch.stack([_bias(layer) for layer in linear])
    one = len(linear) == 1
    return {"classifier.norms": norms[0] if one else norms, "classifier.bias": biases[0] if one else biases}


def _bias(layer: nn.Linear) -> Tensor:
    bias: Tensor | None = layer.bias
    return torch.zeros(layer.out_features) if bias is None else bias.detach().float().cpu()


def _view(spec: str | Mapping[str, Any], registry: Techniques) -> tuple[View | None, ViewImages]:
    """Return the technique of a view (None for the identity) and a function that applies the view."""
    if isinstance(spec, str):
        return None, lambda images: images
    technique = registry.build_as(spec["technique"], View)
    with output_checks.leaving_no_state(technique):
        views = technique.views()
    if spec["name"] not in views:
        raise output_checks.wrong_output(technique, f"views {', '.join(views)}", f"a view named {spec['name']}")
    view = views[spec["name"]]

    def view_images(images: Tensor) -> Tensor:
        with output_checks.naming_techniques(technique), output_checks.leaving_no_state(technique):
            viewed = view(images)
        return output_checks.check_tensor(technique, "images", viewed, images.dtype, list(images.shape))

    return technique, view_images
