"""A prediction: the logits of a fit for the test images, or for the held-out ones, under one view of them.

    logits.safetensors    logits float32 [N, C], labels int64 [N]; classifier.norms and .bias float32 [C] if a
                          linear layer computes the logits
    meta.json             spec, cost, environment, plugins

A view gets normalised images, as the network does; a view that needs pixels has to undo the normalisation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from torch import Tensor, nn

from ltbench.core.spec import Job
from ltbench.engine import output_checks
from ltbench.engine.determinism import autocast, reproducible
from ltbench.engine.environment import environment
from ltbench.engine.network import build, normaliser
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
    """Store the logits of a fit for the images of a split, unless the store has them.

    Raises `JobFailed` if the view is missing, raises or changes the shape of images, or a logit is not finite.
    """
    if context.store.has(job.key):
        return
    began = time.perf_counter()
    device, fit = torch.device(context.device), job.spec["fit"]
    spec = context.store.meta(fit)["spec"]
    subset = load(spec["data"], context.registry, context.data_root)
    images, labels = subset.split(job.spec["split"])
    model = context.registry.build_as(spec["model"], Model)
    recipe = msgspec.convert(spec["recipe"], Recipe).resolved()
    with output_checks.naming_techniques(), reproducible(device):
        view, view_images = _view(job.spec["view"], context.registry)
        normalise = normaliser(model, subset.info, device)
        network = build(model, subset.info, spec["seed"], device)
        network.load_state_dict(read_tensors(context.store.checked(fit) / "weights.safetensors")[0])
        network.eval()

        @torch.inference_mode()
        def logits_of(images: Tensor) -> Tensor:
            viewed = view_images(normalise(images.to(device).float().mul_(1 / 255)))
            with autocast(recipe.precision, device):
                logits: Tensor = network(viewed.contiguous(memory_format=torch.channels_last))
            return logits.float().cpu()

        first, *rest = torch.split(images, _BATCH)
        with output_checks.leaving_no_state(model):
            first_logits = logits_of(first)
        logits = torch.cat([first_logits, *map(logits_of, rest)])
        classifier = linear_classifier(network, lambda: logits_of(images[:2]))
    if not bool(logits.isfinite().all()):
        raise JobFailed("logits are not finite", where=f"model '{model.label}', fit {fit}")
    seconds = time.perf_counter() - began
    with context.store.writing(job.key) as folder:
        write_tensors(folder / "logits.safetensors", {"logits": logits, "labels": labels, **classifier})
        meta = {
            "spec": job.spec,
            "cost": {"predict_seconds": seconds},
            "environment": environment(device),
            "plugins": [] if view is None else [context.registry.provenance(view)],
        }
        write_json(folder / "meta.json", meta)


def linear_classifier(network: nn.Module, predict: Callable[[], Tensor]) -> dict[str, Tensor]:
    """Return the weight norm and bias of each class, float32 [C]; nothing if no linear layer computes the logits.

    predict: returns some logits of the network, to check that they are the classifier's output, unchanged.
    """
    head: nn.Module = network.get_classifier()  # type: ignore[operator]
    if not isinstance(head, nn.Linear):
        return {}
    returned: list[Tensor] = []
    handle = head.register_forward_hook(lambda _module, _given, logits: returned.append(logits))
    try:
        logits = predict()
    finally:
        handle.remove()
    if len(returned) != 1 or not torch.equal(returned[0].float().cpu(), logits):
        return {}
    norms = head.weight.detach().float().norm(dim=1)
    bias: Tensor | None = head.bias
    return {"classifier.norms": norms, "classifier.bias": torch.zeros_like(norms) if bias is None else bias.detach()}


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
