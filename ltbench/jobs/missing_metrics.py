"""Which installed metrics a record lacks. Used by every plan, so it does not import numpy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ltbench.executor import Techniques

Installed = Mapping[str, tuple[str, int]]
"""Name of a metric -> its distribution and revision."""
FAILED_BEFORE = "failed before"
OTHER_LOGITS = "OtherLogits"
"""The error type if the stored logits contradict the record."""


def installed_metrics(registry: Techniques) -> Installed:
    """Return the distribution and revision of every installed metric."""
    return {name: (registry.entry(name).distribution, kind.revision) for name, kind in registry.of("metric").items()}


def missing_metrics(record: Mapping[str, Any], installed: Installed, *, retry_failed: bool = True) -> dict[str, str]:
    """Return the metrics that a successful record lacks, each with a remark: `revision 2`, or nothing.

    A metric is missing if the record was made without it, with an earlier revision, or with a metric of another
    distribution with that name, or if it failed. retry_failed: whether a failed metric without earlier numbers counts
    as missing. The numbers of a metric that is no longer installed, or only in an earlier revision, are kept.
    """
    recorded = {p["name"]: (p["distribution"], p["revision"]) for p in record["plugins"] if p["stage"] == "metric"}
    failed = record.get("failed_metrics", {})
    missing = {}
    for name, (distribution, revision) in installed.items():
        then = recorded.get(name)
        if name in failed and then is None:
            if retry_failed:
                missing[name] = FAILED_BEFORE
        elif then is None:
            missing[name] = ""
        elif then[0] != distribution:
            missing[name] = f"of {distribution}"
        elif then[1] < revision:
            missing[name] = f"revision {revision}"
    return missing
