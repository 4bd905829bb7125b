"""The command on a page that reproduces its records."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ltbench.stages import Dataset
from ltbench.technique import written

if TYPE_CHECKING:
    from ltbench.executor import Techniques
    from ltbench.suite.suite import Suite


def reproducing(suite: Suite, labels: set[str], seeds: set[tuple[int, int]], registry: Techniques) -> str:
    """Return one command that reproduces the records of a page, which several commands may have made.

    labels, seeds: every technique and every pair of seeds on the page or in the suite.
    """
    from ltbench.suite.suite import find_suite

    installed = suite.name in registry.suites
    own = find_suite(suite.name, registry) if installed else suite
    words = ["ltbench", "run", "--suite", suite.name if installed else f"{suite.name}.toml"]
    if labels != {t.label for text in own.techniques for t in registry.parse_all(text)}:
        words += ["--plugins", ",".join(sorted(labels))]
    for option, values, defaults in (
        ("--datasets", suite.datasets, own.datasets),
        ("--profiles", suite.profiles, _profiles(suite, own, registry)),
        ("--models", suite.models, own.models),
        ("--imbalance-factors", suite.imbalance_factors, own.imbalance_factors),
    ):
        if set(values) != set(defaults):
            words += [option, ",".join(written(value) for value in values)]
    if (suite.strategy, bool(suite.combinations)) != (own.strategy, bool(own.combinations)):
        words += ["--strategy", suite.strategy]
    if suite.max_techniques != own.max_techniques:
        words += ["--max-techniques", str(suite.max_techniques)]
    if seeds != set(own.seed_pairs()):
        words += ["--seeds", ",".join(str(seed) for seed in sorted({seed for _, seed in seeds}))]
    for field in own.recipe.__struct_fields__:
        value = getattr(suite.recipe, field)
        if value is not None and value != getattr(own.recipe, field):
            words += ["--set", f"{field}={written(value)}"]
    return shlex.join(words)


def _profiles(suite: Suite, own: Suite, registry: Techniques) -> tuple[str, ...]:
    """Return the profiles that a run has without `--profiles`; none where that depends on the data sets."""
    named = [registry.parse(label, "dataset") for label in suite.datasets if set(suite.datasets) != set(own.datasets)]
    return () if any(isinstance(dataset, Dataset) and dataset.profile for dataset in named) else own.profiles
