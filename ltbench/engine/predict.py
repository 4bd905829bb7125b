"""A prediction: the logits of a fit on the test images, under one view of them.

    logits.safetensors    logits float32 [N, C], labels int64 [N]; classifier.norms and .bias float32 [C] where the
                          logits are those of a linear layer
    meta.json             spec, cost, environment, plugins

A view gets normalised images, as the network does; one that wants pixels has to undo that.
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

Look = Callable[[Tensor], Tensor]
"""Images float [B, channels, size, size] -> the same shape."""

_BATCH = 500
"""Images a batch: between 250 and 500 are fastest on a CPU, and 2,000 halve it."""


def predict(job: Job, context: Context) -> None:
    """Put the logits of a fit on the test images into the store; do nothing where they are there.

    Raises `JobFailed` where the view is missing, raises or changes the shape of images, or a logit is not finite.
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
        view, look = _view(job.spec["view"], context.registry)
        normalise = normaliser(model, subset.info, device)
        network = build(model, subset.info, spec["seed"], device)
        network.load_state_dict(read_tensors(context.store.checked(fit) / "weights.safetensors")[0])
        network.eval()

        @torch.inference_mode()
        def logits_of(images: Tensor) -> Tensor:
            seen = look(normalise(images.to(device).float().mul_(1 / 255)))
            with autocast(recipe.precision, device):
                found: Tensor = network(seen.contiguous(memory_format=torch.channels_last))
            return found.float().cpu()

        logits = torch.cat([logits_of(images) for images in torch.split(subset.test_images, _BATCH)])
        classifier = linear_classifier(network, lambda: logits_of(subset.test_images[:2]))
    if not bool(logits.isfinite().all()):
        raise JobFailed("logits are not finite", where=f"model '{model.label}', fit {fit}")
    seconds = time.perf_counter() - began
    with context.store.writing(job.key) as folder:
        write_tensors(folder / "logits.safetensors", {"logits": logits, "labels": subset.test_labels, **classifier})
        meta = {
            "spec": job.spec,
            "cost": {"predict_seconds": seconds},
            "environment": environment(device),
            "plugins": [] if view is None else [context.registry.provenance(view)],
        }
        write_json(folder / "meta.json", meta)


def linear_classifier(network: nn.Module, predict: Callable[[], Tensor]) -> dict[str, Tensor]:
    """Return norm of the weights and bias of each class, float32 [C]; nothing where the logits are of something else.

    predict: asks the network for some logits; they must be what its classifier returns, untouched.
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


def _view(spec: str | Mapping[str, Any], registry: Techniques) -> tuple[View | None, Look]:
    """Return a view and the technique that it belongs to, None for the image as it is."""
    if isinstance(spec, str):
        return None, lambda images: images
    technique = registry.build_as(spec["technique"], View)
    views = technique.views()
    if spec["name"] not in views:
        raise output_checks.wrong(technique, f"views {', '.join(views)}", f"one named {spec['name']}")
    view = views[spec["name"]]

    def look(images: Tensor) -> Tensor:
        with output_checks.naming_techniques(technique):
            seen = view(images)
        return output_checks.check_tensor(technique, "images", seen, images.dtype, list(images.shape))

    return technique, look
