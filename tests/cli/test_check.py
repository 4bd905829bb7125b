"""`ltbench check`: techniques, files and suites, and what becomes of broken ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import imported, loss_source, ltbench, main_result, suite_source

SOUND = '"""Mine. Source: none."""'


def run(capsys, *args: object) -> tuple[int, str, str]:
    return main_result(capsys, "check", *args)


@pytest.fixture
def write(tmp_path):
    def written(name: str, **kwargs: str) -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(loss_source(name, **kwargs))
        return path

    return written


def test_a_sound_technique_passes(capsys) -> None:
    code, out, err = run(capsys, "exp")
    assert code == 0
    assert err == ""
    assert "counts_fit_the_available_images   ok" in out
    assert out.rstrip().endswith("0 failed, 0 skipped")


def test_a_file_is_checked_and_a_failure_prints_observation_and_fix(capsys, write) -> None:
    file = write("my_loss", result="logits.softmax(1).log().sum(1).detach()")
    code, out, _ = run(capsys, "--plugin-file", file)
    assert code == 1
    assert "losses_have_a_gradient" in out
    assert "seen  the losses have no gradient; expected a gradient with respect to the logits" in out
    assert "try   do not use detach()" in out


def test_an_error_of_the_plugin_is_printed_once_with_its_line(capsys, write) -> None:
    code, out, _ = run(capsys, "my_loss", "--plugin-file", write("my_loss", result="logits.nothing()"))
    assert code == 1
    assert (
        out.count("it raised AttributeError: 'Tensor' object has no attribute 'nothing' (my_loss.py:13, in per_sample)")
        == 1
    )
    assert "Traceback" not in out


FROZEN = '''
from ltbench import Finetune, hookimpl

LTBENCH_API = 1


class Frozen(Finetune):
    """Train nothing. Source: none."""

    name = "frozen"

    def learns(self, name, parameter, module):
        return False


@hookimpl
def ltbench_finetunes():
    return [Frozen]
'''


def test_what_several_checks_see_is_printed_once(capsys, tmp_path) -> None:
    file = tmp_path / "frozen.py"
    file.write_text(FROZEN)
    code, out, _ = run(capsys, "--plugin-file", file)
    assert code == 1
    out = " ".join(out.split())
    assert out.count("finetune 'frozen' finds nothing to adapt: no parameter of the backbone would learn") == 1
    assert "is_deterministic, is_the_same_in_another_process" in out


def test_json_has_every_finding(capsys) -> None:
    code, out, _ = run(capsys, "natural", "shuffle", "drw[at=0.5]", "--json")
    assert code == 0
    found = json.loads(out)
    assert {finding["technique"] for finding in found} == {"natural", "shuffle", "drw[at=0.5]"}
    assert {finding["state"] for finding in found} <= {"ok", "skipped"}
    assert set(found[0]) == {"check", "technique", "about", "state", "text", "fix", "raised"}


def test_a_sweep_is_several_techniques(capsys) -> None:
    _, out, _ = run(capsys, "drw[at=0.5,0.6],one_stage", "--json")
    assert {finding["technique"] for finding in json.loads(out)} == {"drw[at=0.5]", "drw[at=0.6]", "one_stage"}


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["focl"], 4, "did you mean focal or cb_focal?"),
        ([], 2, "nothing to check"),
        (["exp[at=1]"], 2, "has no parameter 'at'"),
        (["--plugin-file", "nowhere.py"], 4, "there is no plugin file"),
        (["nowhere.toml"], 1, ""),
    ],
)
def test_an_invalid_argument_of_check_is_an_error(capsys, args: list[str], code: int, said: str) -> None:
    ended, out, err = run(capsys, *args)
    assert ended == code
    assert said in err
    assert "Traceback" not in out + err


def test_a_broken_plugin_is_reported_with_its_error(capsys, tmp_path) -> None:
    (tmp_path / "broken.py").write_text("import nothing_of_that_name\n")
    code, out, err = run(capsys, "--plugin-file", tmp_path / "broken.py")
    assert code == 4
    assert out == ""
    assert "No module named 'nothing_of_that_name'" in err
    assert "Traceback" not in err


def test_a_name_in_use_is_reported(capsys, write) -> None:
    code, _, err = run(capsys, "--plugin-file", write("focal"))
    assert code == 4
    assert "has the same name as a built-in" in err


def test_a_suite_is_read_and_planned(capsys) -> None:
    code, out, _ = run(capsys, "quick", "--json")
    assert code == 0
    assert [f["check"] for f in json.loads(out)] == ["can_be_read", "names_installed_techniques", "can_be_planned"]


@pytest.mark.parametrize(
    ("change", "states", "said"),
    [
        ({}, ["ok", "ok", "ok"], ""),
        ({"techniques": ["focl"]}, ["ok", "failed"], "unknown technique 'focl'"),
        ({"techniques": ["focal[gamma=-1]"]}, ["ok", "failed"], "gamma"),
        ({"imbalance_factors": [0]}, ["failed"], "imbalance factor 0"),
        ({"imbalance_factors": [100000]}, ["ok", "ok", "failed"], "would keep no training image"),
        ({"datasets": ["image_folder"]}, ["ok", "ok", "skipped"], "image_folder has no path"),
    ],
)
def test_errors_of_a_suite_are_reported(capsys, tmp_path, change: dict[str, object], states, said: str) -> None:
    (tmp_path / "mine.toml").write_text(suite_source("mine", {"epochs": 1}, **{"techniques": ["focal"]} | change))
    code, out, _ = run(capsys, tmp_path / "mine.toml", "--json")
    found = json.loads(out)
    assert [finding["state"] for finding in found] == states
    assert said in found[-1]["text"]
    assert code == ("failed" in states)


def test_a_technique_without_tensors_is_checked_without_torch() -> None:
    assert "torch" not in imported("check", "drw")


def test_the_command_ends_in_a_process_of_its_own() -> None:
    ran = ltbench("check", "exp")
    assert ran.returncode == 0
    assert ran.stderr == ""
