"""NCL: networks that learn from each other."""

from __future__ import annotations

from ltbench import Method, hookimpl


@hookimpl
def ltbench_methods() -> list[Method]:
    """Return NCL without its self-supervised term: three networks that share nothing."""
    return [
        Method(
            name="ncl",
            parts=("experts[blocks=99]", "ncl_loss", "ncl_distillation"),
            about="NCL: three networks that learn all and the hard categories, and from each other.",
            source="Li et al., Nested Collaborative Learning for Long-Tailed Visual Recognition, CVPR 2022, sections 3.2 to 3.4",
        )
    ]
