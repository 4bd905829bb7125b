"""Views of test images: the function of a view that a spec names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ltbench.engine import output_checks
from ltbench.stages import View

if TYPE_CHECKING:
    from ltbench.executor import Techniques

ViewImages = Callable[[Tensor], Tensor]
"""Images float [B, channels, size, size] -> the same shape."""


def view_of(spec: str | Mapping[str, Any], registry: Techniques) -> tuple[View | None, ViewImages]:
    """Return the technique of a view (None for the identity) and a function that applies the view.

    spec: as in the spec of a prediction. Raises `JobFailed` if the technique has no such view.
    """
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
