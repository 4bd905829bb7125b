from __future__ import annotations

import click
import pytest

from ltbench.cli.options import asked_suite
from ltbench.cli.running.reproduce_command import reproducing
from ltbench.cli.units import Size, Span
from ltbench.registry.registry import Registry
from ltbench.suite.suite import changed, find_suite

ASKED = dict.fromkeys(
    ("plugins", "strategy", "max_techniques", "datasets", "profiles", "models", "imbalance_factors", "seeds"), None
) | {"suite_name": "quick", "everything": False, "settings": ()}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        *[(Span(), text, value) for text, value in [("90s", 90), ("10m", 600), ("1.5h", 5400), ("2d", 172800)]],
        (Size(), "500MB", 500_000_000), (Size(), "4GB", 4_000_000_000), (Size(), "1.5GiB", 1_610_612_736),
        (Size(), "64 kb", 64_000),
    ],
)  # fmt: skip
def test_spans_of_time_are_read_in_seconds_and_sizes_in_bytes(kind: click.ParamType, text: str, value: float) -> None:
    assert kind.convert(text, None, None) == value


@pytest.mark.parametrize(
    ("kind", "hint", "text"),
    [
        *[(Span(), "write it as 90s, 10m", text) for text in ("10", "m", "-5m", "0s", "10 minutes", "")],
        *[(Size(), "write it as 500MB, 4GB", text) for text in ("10", "GB", "-5GB", "0GB", "4 gigabytes", "")],
    ],
)
def test_what_is_no_span_of_time_or_size_is_refused(kind: click.ParamType, hint: str, text: str) -> None:
    with pytest.raises(click.UsageError, match=hint):
        kind.convert(text, None, None)


def test_a_data_set_or_model_among_the_plugins_takes_the_place_of_the_suites(registry: Registry) -> None:
    suite = asked_suite(registry, **ASKED | {"plugins": "mixup,step,cifar10,convnet[width=4]"})
    assert (suite.techniques, suite.datasets, suite.profiles, suite.models) == (
        ("mixup",),
        ("cifar10",),
        ("step",),
        ("convnet[width=4]",),
    )


def test_all_is_every_technique_but_the_baselines(registry: Registry) -> None:
    suite = asked_suite(registry, **ASKED | {"everything": True})
    assert {"cb_sampler", "mixup", "label_smooth", "tta"} <= set(suite.techniques)
    assert {"shuffle", "cross_entropy", "convnet", "calibration"}.isdisjoint(suite.techniques)


def test_a_setting_changes_the_recipe_and_epochs_and_steps_replace_each_other(registry: Registry) -> None:
    suite = asked_suite(registry, **ASKED | {"settings": ("steps=7", "lr=0.5", "schedule=constant")})
    assert (suite.recipe.steps, suite.recipe.epochs, suite.recipe.lr) == (7, None, 0.5)


def command(registry: Registry, labels: set[str] | None = None, **changes: object) -> str:
    suite = changed(find_suite("quick", registry), **changes)
    labels = set(suite.techniques) if labels is None else labels
    return reproducing(suite, labels, set(suite.seed_pairs()), registry)


def test_the_command_of_a_page_says_what_differs_from_the_suite(registry: Registry) -> None:
    assert command(registry) == "ltbench run --suite quick"
    assert command(registry, techniques=["tta", "mixup"]) == "ltbench run --suite quick --plugins mixup,tta"
    assert command(registry, {"focal", "mixup"}).endswith("--plugins focal,mixup")
    assert command(registry, imbalance_factors=[10]) == "ltbench run --suite quick --imbalance-factors 10"
    assert command(registry, imbalance_factors=[10, 20], seeds=[0, 7]).endswith("--imbalance-factors 10,20 --seeds 0,7")
    recipe = {"steps": 5, "precision": "fp32"}
    assert "--set steps=5" in command(registry, recipe=recipe)
