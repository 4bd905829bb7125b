from __future__ import annotations

from ltbench.planning.combinations import Combination, suite_combinations
from ltbench.registry.registry import Registry
from ltbench.suite.suite import read_suite

from ltbench_shapes.shapes_lt import ltbench_suites


def test_everything_that_the_suite_names_is_installed_and_can_be_combined() -> None:
    (path,) = ltbench_suites()
    suite, registry = read_suite(path), Registry.load()
    assert suite.name == path.stem
    for text in (*suite.datasets, *suite.profiles, *suite.models):
        registry.parse(text)
    # Two techniques of different stages: none, either, both.
    combinations = [found for found in suite_combinations(suite, registry) if isinstance(found, Combination)]
    assert len(combinations) == 4
