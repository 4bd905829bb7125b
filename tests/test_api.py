"""Stability of the hooks: what was written for an older version goes on to work."""

from __future__ import annotations

import hashlib
import json
import types
from pathlib import Path

import pytest
from click.testing import CliRunner
from support import records_of, suite_source

from ltbench import hookspecs
from ltbench.cli import group
from ltbench.core.plugins import PluginSource
from ltbench.hookspecs import API_VERSION, OLDEST_API, hookimpl, hookspec
from ltbench.registry.discovery import Broken, import_file
from ltbench.registry.loading import Loaded, Loader
from ltbench.stages import Loss

FROZEN = Path(__file__).parent / "frozen"
DIGESTS = {"api_1.py": "7fc6c304a2c20fc4"}
SOURCE = PluginSource(plugin="old", distribution="old-pkg", version="1.0")
SUITE = suite_source(
    "frozen", {"epochs": 2, "batch_size": 16, "lr": 0.1, "precision": "fp32"}, datasets=["frozen_images"],
    profiles=["frozen_profile"], imbalance_factors=[4], models=["frozen_model"], executor="frozen_executor", seeds=[0],
    combinations=[["frozen_sampler", "frozen_mix", "frozen_loss", "frozen_weight", "frozen_regime", "frozen_augment"],
                  ["frozen_view", "frozen_posthoc", "frozen_ensemble"], ["frozen_member"]],
)  # fmt: skip


def test_there_is_a_frozen_plugin_for_every_version_of_the_hooks() -> None:
    assert sorted(DIGESTS) == [f"api_{number}.py" for number in range(OLDEST_API, API_VERSION + 1)]
    for name, digest in DIGESTS.items():
        assert hashlib.sha256((FROZEN / name).read_bytes()).hexdigest()[:16] == digest, f"{name} is never edited"


@pytest.mark.parametrize("name", DIGESTS)
def test_a_plugin_of_an_older_version_offers_every_hook_and_runs(name: str, tmp_path: Path) -> None:
    hooks = {hook for hook in vars(hookspecs) if hook.startswith("ltbench_")}
    assert hooks >= {hook for hook in vars(import_file(FROZEN / name)) if hook.startswith("ltbench_")}
    (tmp_path / "frozen.toml").write_text(SUITE)
    at = [f"--{option}={tmp_path / option}" for option in ("store", "leaderboards")]
    options = ["--suite", str(tmp_path / "frozen.toml"), "--plugin-file", str(FROZEN / name), *at]
    done = CliRunner().invoke(group, ["run", *options, "--json"], catch_exceptions=False, standalone_mode=False)
    facts = json.loads(done.stdout)
    assert (facts["cells"], facts["failed"]) == (4, []), facts
    records = records_of(tmp_path / "leaderboards" / "local" / "frozen")
    (record,) = [record for record in records if "frozen_member" in json.dumps(record["combination"])]
    assert 0 < record["metrics"]["frozen_sure"] <= 1


class Old(Loss):
    """Cross-entropy. Source: none."""

    name = "old_loss"

    def per_sample(self, logits, labels, counts):
        return -logits.log_softmax(1).gather(1, labels[:, None])[:, 0]


def next_version(**arguments: object) -> types.ModuleType:
    """Return hooks as a later version may have them: losses are told something, and one argument of it is to go."""
    module = types.ModuleType("next_hookspecs")
    vars(module).update({name: value for name, value in vars(hookspecs).items() if name.startswith("ltbench_")})

    @hookspec(
        warn_on_impl_args={"factor": DeprecationWarning("argument 'factor' goes with version 3; ask for 'factors'")}
    )
    def ltbench_losses(factor: float, factors: list[float]):
        """Return losses."""

    vars(module).update(ltbench_losses=ltbench_losses, API_VERSION=2, OLDEST_API=1, ARGUMENTS=arguments)
    return module


def plugin(losses: object, **names: object) -> types.ModuleType:
    module = types.ModuleType("old_module")
    vars(module).update(ltbench_losses=hookimpl(losses), **names)
    return module


def loaded(module: types.ModuleType, specs: types.ModuleType = hookspecs) -> Loaded | Broken:
    return Loader(specs).load(SOURCE, lambda: module)


def test_a_plugin_works_after_a_hook_gained_an_argument() -> None:
    found = loaded(plugin(lambda: [Old], LTBENCH_API=1), next_version(factor=10.0, factors=[10.0]))
    assert isinstance(found, Loaded), found
    assert (found.techniques, found.notes) == ((Old,), ())


def test_a_plugin_that_asks_for_a_new_argument_gets_it() -> None:
    told = []

    def losses(factors):
        told.append(factors)
        return [Old]

    assert isinstance(loaded(plugin(losses, LTBENCH_API=2), next_version(factor=1.0, factors=[10.0])), Loaded)
    assert told == [[10.0]]


def test_a_deprecated_argument_is_passed_with_a_warning() -> None:
    told = []

    def losses(factor):
        told.append(factor)
        return [Old]

    found = loaded(plugin(losses), next_version(factor=10.0, factors=[10.0]))
    assert isinstance(found, Loaded), found
    assert told == [10.0]
    assert found.notes == ("argument 'factor' goes with version 3; ask for 'factors'",)


def test_a_plugin_with_an_unknown_argument_is_off_with_a_fix() -> None:
    found = loaded(plugin(lambda factors: [Old]))
    assert isinstance(found, Broken)
    assert "has an argument that version 1 of the hooks does not have" in found.error
    assert "factors" in found.error
    assert found.fix == "pip install --upgrade ltbench"


@pytest.mark.parametrize(
    ("version", "error", "fix"),
    [
        (
            2,
            "it is written for version 2 of the hooks, but this ltbench supports versions 1 to 1",
            "pip install --upgrade ltbench",
        ),
        (0, "LTBENCH_API is 0; expected a version", "LTBENCH_API = 1"),
        ("1", "LTBENCH_API is '1'; expected a version", "LTBENCH_API = 1"),
    ],
)
def test_a_plugin_of_another_version_is_off(version: object, error: str, fix: str) -> None:
    found = loaded(plugin(lambda: [Old], LTBENCH_API=version))
    assert isinstance(found, Broken)
    assert error in found.error
    assert found.fix == fix


def test_a_plugin_of_an_unsupported_version_is_off() -> None:
    specs = next_version(factor=1.0, factors=[])
    specs.OLDEST_API = 2
    found = loaded(plugin(lambda: [Old], LTBENCH_API=1), specs)
    assert isinstance(found, Broken)
    assert "written for version 1 of the hooks, but this ltbench supports versions 2 to 2" in found.error
    assert found.fix == "upgrade the plugin"
