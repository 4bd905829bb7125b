"""RIDE: diverse experts with margins."""

from __future__ import annotations

from ltbench import Method, hookimpl


@hookimpl
def ltbench_methods() -> list[Method]:
    """Return the first stage of RIDE: the routing of its second stage is not available.

    The weights start at epoch 160 of 200, the default of `drw`. The diversity has the form of the authors' code, which
    their numbers come from; its weight there is -0.45 on CIFAR-100. The authors' experts are narrower than these.
    """
    return [
        Method(
            name="ride",
            parts=(
                "cosine[scale=30]",
                "experts",
                "ride_loss",
                "ens[reduction=weighted_mean]",
                "ride_diversity[against=mean,at=0.8]",
                "drw",
            ),
            about="RIDE: three experts with margins by class rarity that are to disagree, with deferred re-weighting.",
            source="Wang et al., Long-tailed Recognition by Routing Diverse Distribution-Aware Experts, ICLR 2021, sections 3.1 and 3.2",
        )
    ]
