from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import call, loss_source

from ltbench.errors import LtbenchError, PluginError, UsageError
from ltbench.registry.registry import Registry, UnknownTechnique
from ltbench.testing.checks_methods import method_conformance


def source(*names: str, parts: object = ("focal", "ens"), about: object = "Two.", extra: str = "") -> str:
    """Return the source of a plugin with a method of each name."""
    methods = ", ".join(f"Method(name={name!r}, parts={parts!r}, about={about!r}, source='none')" for name in names)
    return f"from ltbench import Method, hookimpl\n{extra}\n@hookimpl\ndef ltbench_methods():\n    return [{methods}]\n"


def test_a_method_stands_for_its_parts(third_party) -> None:
    registry = third_party("other-pkg", "2.1", other=source("mine", parts=["focal[gamma=1]", "ens"]))
    assert registry.broken == []
    assert [one.label for one in registry.parse_all("tta,mine")] == ["tta", "focal[gamma=1]", "ens"]
    assert registry.method_sources["mine"].distribution == "other-pkg"
    assert "mine" not in registry.entries


def test_a_method_is_not_one_technique(registry: Registry) -> None:
    with pytest.raises(UsageError, match="'ce_drw' is a method of 2 techniques"):
        registry.parse("ce_drw")
    with pytest.raises(UnknownTechnique, match="'ce_drw' is a method; expected a technique"):
        registry.entry("ce_drw")
    with pytest.raises(UsageError, match="method 'ce_drw' has no parameters") as refused:
        registry.parse_all("ce_drw[at=0.9]")
    assert "ens[reduction=weighted_mean],drw" in refused.value.fix
    with pytest.raises(UnknownTechnique) as unknown:
        registry.parse_all("cb_fokal")
    assert "cb_focal" in unknown.value.fix


def test_a_part_that_is_not_installed_is_named_with_its_method(third_party) -> None:
    registry = third_party("other-pkg", "2.1", other=source("mine", parts=("focl", "ens")))
    with pytest.raises(PluginError) as broken:
        registry.parse_all("mine")
    assert broken.value.what == "method 'mine' cannot be used: unknown technique 'focl'"
    assert "other-pkg 2.1" in broken.value.where
    assert "focal" in broken.value.fix


LOSS = loss_source("same_name")
BAD = {
    "has the name of a built-in technique": (source("focal"), "its method 'focal' has the same name as a built-in one"),
    "has the name of a built-in method": (
        source("ldam_drw"),
        "its method 'ldam_drw' has the same name as a built-in one",
    ),
    "has two of a name": (source("twice", "twice"), "it provides two techniques named 'twice'"),
    "has the name of its own technique": (LOSS + source("same_name"), "it provides two techniques named 'same_name'"),
    "has a name that is no word": (source("no word"), "its method 'no word' is invalid"),
    "has no parts": (source("empty", parts=()), "its method 'empty' is invalid"),
    "has parts that are no text": (source("odd", parts=(1,)), "its method 'odd' is invalid"),
    "has no description": (source("silent", about=""), "its method 'silent' is invalid"),
    "returns something else": (source().replace("[]", "['ldam_drw']"), "expected methods"),
}


@pytest.mark.parametrize("kind", BAD)
def test_an_invalid_method_breaks_only_its_plugin(kind: str, third_party) -> None:
    text, said = BAD[kind]
    registry = third_party("bad-pkg", "0.3", bad=text, good=source("fine"))
    (broken,) = registry.broken
    assert broken.plugin == "bad"
    assert said in broken.error
    assert "fine" in registry.methods


def test_a_technique_cannot_take_the_name_of_a_method(third_party) -> None:
    registry = third_party("bad-pkg", "0.3", bad=loss_source("ce_drw"))
    assert "its technique 'ce_drw' has the same name as a method of ltbench" in registry.broken[0].error


@pytest.mark.parametrize(
    ("parts", "check", "said"),
    [
        (("focl",), "has_installed_parts", "unknown technique 'focl'"),
        (("focal[gamma=-1]",), "has_installed_parts", "does not accept gamma"),
        (("focal", "ldam"), "has_one_part_of_a_stage", "two parts are of stage loss"),
        (("resnet32", "ldam"), "has_one_part_of_a_stage", "resnet32 is a model"),
        (("cross_entropy",), "has_one_part_of_a_stage", "cross_entropy is the baseline of stage loss"),
        (("drw",), "can_be_combined", "drw needs a technique of stage weight"),
    ],
)
def test_the_checks_of_a_method_find(third_party, parts: tuple[str, ...], check: str, said: str) -> None:
    registry = third_party("other-pkg", "1", other=source("mine", parts=parts))
    *passed, failed = method_conformance("mine", registry)
    assert all(one.state == "ok" for one in passed)
    assert (failed.check, failed.state) == (check, "failed")
    assert said in failed.text


def test_a_description_has_one_line_and_a_source(third_party) -> None:
    registry = third_party("other-pkg", "1", other=source("mine", about="One.\nTwo."))
    assert "several lines" in list(method_conformance("mine", registry))[-1].text
    registry = third_party("another-pkg", "1", another=source("yours").replace("source='none'", "source=''"))
    assert "no source" in list(method_conformance("yours", registry))[-1].text


def test_commands_know_methods(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(source("mine", parts=["focal[gamma=1]", "ens"]))
    rows = json.loads(call("list", "method", "--json", "--plugin-file", file).stdout)
    mine = next(row for row in rows if row["technique"] == "mine")
    assert {"technique": "mine", "parts": ["focal[gamma=1]", "ens"], "plugin": "file:mine"}.items() <= mine.items()
    assert {row["stage"] for row in rows} == {"method"}
    assert "focal[gamma=1] + ens" in call("list", "method", "--plugin-file", file, width=300).stdout
    shown = call("show", "mine", "--plugin-file", file).stdout
    assert "mine: a method of file:mine" in shown
    assert "Written out: --plugins 'focal[gamma=1],ens'" in shown
    assert json.loads(call("show", "mine", "--json", "--plugin-file", file).stdout)["parts"] == [
        "focal[gamma=1]",
        "ens",
    ]
    assert "4 checks, run 4 times: 0 failed" in call("check", "--plugin-file", file).stdout
    assert "| `ce_drw` |" in call("list", "--markdown").stdout
    with pytest.raises(LtbenchError, match="unknown stage 'methods'"):
        call("list", "methods")
