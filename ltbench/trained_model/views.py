"""The views of test images, as functions of normalised images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ltbench.core.spec import Spec
    from ltbench.engine.views import ViewImages
    from ltbench.executor import Techniques


def views_in(spec: Spec, names: Sequence[str], registry: Techniques) -> list[ViewImages]:
    """Return the views with these names of a view technique, checked as in predictions. spec: of the technique."""
    from ltbench.engine.views import view_of

    return [view_of(name if name == "identity" else {"technique": spec, "name": name}, registry)[1] for name in names]
