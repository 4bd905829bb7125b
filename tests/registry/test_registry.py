from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from support import imported, loss_source

from ltbench.core.plugins import PluginOrigin
from ltbench.errors import ParameterError, PluginError, UsageError
from ltbench.registry.discovery import PluginSelection
from ltbench.registry.registry import Registry, UnknownTechnique


def test_a_third_partys_technique_is_registered_with_who_offers_it(third_party) -> None:
    registry = third_party("other-pkg", "2.1", other_loss=loss_source("other_loss"))
    technique = registry.parse("other_loss")
    assert registry.broken == []
    assert registry.provenance(technique) | {"source": ""} == {
        "name": "other_loss",
        "stage": "loss",
        "distribution": "other-pkg",
        "version": "2.1",
        "revision": 1,
        "source": "",
    }
    assert registry.build(registry.spec(technique)) == technique


BAD = {
    "raises on import": ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
    "does not parse": ("def", "SyntaxError"),
    "imports what is missing": ("import nonexistent_thing", "ModuleNotFoundError"),
    "implements no hook": ("x = 1", "implements no hook"),
    "misspells a hook": (
        loss_source("fine_loss").replace("ltbench_losses", "ltbench_loses"),
        "did you mean ltbench_losses?",
    ),
    "returns something else": (loss_source("fine_loss").replace("[Mine]", "[3]"), "expected classes derived from Loss"),
    "returns no list": (loss_source("fine_loss").replace("[Mine]", "Mine"), "ltbench_losses returned <class"),
    "has an impossible name": (loss_source("Bad Name"), "expected a word"),
    "has a default out of range": (
        loss_source("x", body="g: __import__('typing').Annotated[float, __import__('msgspec').Meta(ge=0)] = -1.0"),
        "does not accept g = -1.0",
    ),
    "takes the name of a built-in": (loss_source("cross_entropy"), "has the same name as a built-in"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_plugin_affects_no_other(kind: str, third_party) -> None:
    source, expected = BAD[kind]
    before = set(Registry.load().entries)
    registry = third_party("bad-pkg", "0.3", bad=source, good=loss_source("good_loss"))
    assert set(registry.entries) == before | {"good_loss"}
    (broken,) = registry.broken
    assert (broken.plugin, broken.distribution, broken.version) == ("bad", "bad-pkg", "0.3")
    assert expected in broken.error
    assert "Traceback" in broken.log


def test_using_a_broken_plugin_is_an_error_with_the_reason(third_party) -> None:
    registry = third_party("bad-pkg", "0.3", bad="raise RuntimeError('no luck')")
    with pytest.raises(PluginError, match="the plugin of technique 'bad' is broken") as error:
        registry.parse("bad")
    assert "no luck" in str(error.value)
    assert error.value.exit_code == 4


def test_an_unknown_technique_names_the_nearest_ones(registry: Registry) -> None:
    with pytest.raises(UnknownTechnique, match="unknown technique 'mixpu'") as error:
        registry.parse("mixpu")
    assert "mixup" in error.value.fix
    assert error.value.exit_code == 4


def test_a_parameter_out_of_range_names_technique_field_value_and_range(registry: Registry) -> None:
    with pytest.raises(ParameterError, match=r"loss 'label_smooth' does not accept eps = 1\.5: expected float"):
        registry.parse("label_smooth[eps=1.5]")
    with pytest.raises(ParameterError, match="has no parameter 'epsilon'") as error:
        registry.parse("label_smooth[epsilon=0.1]")
    assert "eps" in error.value.fix


def test_a_technique_of_another_stage_is_refused(registry: Registry) -> None:
    with pytest.raises(UsageError, match="'mixup' is a mix; expected a loss"):
        registry.parse("mixup", "loss")


def test_a_plugin_file_is_loaded_before_there_is_a_package(tmp_path: Path) -> None:
    file = tmp_path / "my_loss.py"
    file.write_text(loss_source("my_loss"))
    registry = Registry.load(PluginOrigin(plugin_files=(str(file),)))
    assert registry.provenance(registry.parse("my_loss"))["distribution"] == "file:my_loss"
    again = Registry.load(registry.origin)
    assert "my_loss" in again.entries


@pytest.mark.parametrize(("text", "why"), [("raise ValueError('x')", "ValueError: x"), (None, "no plugin file")])
def test_a_plugin_file_that_cannot_be_used_is_an_error(tmp_path: Path, text: str | None, why: str) -> None:
    file = tmp_path / "my_loss.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(PluginError) as error:
        Registry.load(PluginOrigin(plugin_files=(str(file),)))
    assert why in str(error.value)


def test_a_plugin_file_that_another_user_could_change_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "my_loss.py"
    file.write_text(loss_source("my_loss"))
    file.chmod(0o666)
    for selection in (PluginSelection(files=(str(file),)), PluginSelection(words=(str(file),))):
        with pytest.raises(PluginError, match="another user could change it") as error:
            selection.origin()
        assert error.value.fix.startswith(f"chmod o-w {file}")
    file.chmod(0o664)
    assert PluginSelection(files=(str(file),)).origin().plugin_files == (str(file),)


def test_a_plugin_file_is_compiled_from_the_source_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file = tmp_path / "my_loss.py"
    for name in ("my_loss", "no_loss"):
        file.write_text(loss_source(name))
        os.utime(file, (1e9, 1e9))  # as a copy that keeps times
        assert name in Registry.load(PluginOrigin(plugin_files=(str(file),))).entries


def test_every_stage_with_a_default_has_exactly_one_baseline(registry: Registry) -> None:
    baselines = [(entry.technique.stage, name) for name, entry in registry.entries.items() if entry.technique.baseline]
    assert sorted(baselines) == [
        ("ensemble", "single"), ("finetune", "full"), ("loss", "cross_entropy"), ("profile", "exp"), ("regime", "one_stage"),
        ("sampler", "shuffle"), ("view", "identity"),
    ]  # fmt: skip
    assert registry.baseline("profile") == registry.parse("exp")


def test_every_built_in_has_one_name_and_a_source(registry: Registry) -> None:
    assert registry.broken == []
    for name, entry in registry.entries.items():
        module = entry.technique.__module__
        assert module.rsplit(".", 1)[1] == entry.plugin, name
        assert entry.technique.stage == "metric" or entry.plugin == name
        assert "Source:" in (entry.technique.__doc__ or ""), name


@pytest.mark.parametrize("args", [("--help",), ("run", "--help"), ("--version",)])
def test_help_starts_without_torch_numpy_or_pandas(args: tuple[str, ...]) -> None:
    assert imported(*args).isdisjoint({"torch", "numpy", "pandas", "scipy", "torchvision", "timm"})


@pytest.mark.parametrize("args", [("list",), ("plan",), ("show", "mixup")])
def test_list_and_plan_work_without_torch(args: tuple[str, ...], tmp_path: Path) -> None:
    store = ["--store", str(tmp_path / "none")] if args[0] == "plan" else []
    assert imported(*args, *store).isdisjoint({"torch", "pandas", "torchvision", "timm"})
    assert not (tmp_path / "none").exists()


FAMILY = """
from ltbench import Model, hookimpl

class Ideas:
    def names(self):
        return ["idea_one", "idea_two", "cross_entropy"]

    def technique(self, name):
        return type(Model)(name, (Model,), {{"name": {name}, "__module__": __name__}})

@hookimpl
def ltbench_families():
    return [Ideas()]
"""


def test_a_member_of_a_family_is_created_by_name(third_party) -> None:
    registry = third_party("idea-pkg", "1.5", ideas=FAMILY.format(name="name"))
    assert registry.broken == []
    assert "idea_one" not in registry.entries
    technique = registry.parse("idea_one", "model")
    assert type(technique) is type(registry.parse("idea_one"))
    assert registry.build(registry.spec(technique)) == technique
    assert registry.provenance(technique)["distribution"] == "idea-pkg"
    assert "idea_one" not in registry.of("model")


def test_a_registered_technique_takes_precedence_over_a_family(third_party) -> None:
    registry = third_party("idea-pkg", "1.5", ideas=FAMILY.format(name="name"))
    assert registry.parse("cross_entropy").stage == "loss"


def test_a_misspelled_member_of_a_family_is_an_error_with_the_nearest(third_party) -> None:
    registry = third_party("idea-pkg", "1.5", ideas=FAMILY.format(name="name"))
    with pytest.raises(UnknownTechnique, match="unknown technique 'idea_on'") as error:
        registry.parse("idea_on")
    assert "did you mean idea_one" in str(error.value)


def test_a_family_member_with_an_invalid_name_is_an_error(third_party) -> None:
    registry = third_party("idea-pkg", "1.5", ideas=FAMILY.format(name="'Not A Name'"))
    with pytest.raises(PluginError, match="expected a word"):
        registry.parse("idea_one")
