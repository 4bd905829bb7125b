"""The kit itself: what is tried with which settings, and what a finding says."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import pytest
from support import loss_source, python
from testing.broken.manners import ForgottenParameter, Sound

from ltbench import Loss, Meta
from ltbench.errors import PluginError
from ltbench.testing import Finding, checks, conformance
from ltbench.testing.conformance import trials
from ltbench.testing.parameter_values import settings, variations
from ltbench_plugins.losses.focal import Focal
from ltbench_plugins.losses.label_smooth import LabelSmooth
from ltbench_plugins.mixes.mixup import Mixup

test_focal_by_one_line = checks(Focal, Focal(gamma=3.5))


def test_a_class_is_checked_with_varied_parameters_and_an_instance_as_given() -> None:
    tried = {trial.technique.label for trial in trials(Focal) if trial.check.per == "setting"}
    assert tried == {"focal", "focal[gamma=0]", "focal[gamma=1]"}
    assert {trial.technique.label for trial in trials(Focal(gamma=3.5))} == {"focal[gamma=3.5]"}


def test_ids_are_read_as_check_setting_and_parameter() -> None:
    ids = {trial.id for trial in trials(Focal)}
    assert {
        "names_its_source-focal", "losses_are_finite_for_rare_classes-focal[gamma=0]", "uses_every_parameter-focal-gamma",
        "works_with_any_number_of_classes-focal-1000_classes",
    } <= ids  # fmt: skip


def test_other_values_are_in_range_and_of_every_kind() -> None:
    assert [one.label for one in settings(LabelSmooth())] == [
        "label_smooth", "label_smooth[eps=0]", "label_smooth[eps=0.1]", "label_smooth[off=k]",
    ]  # fmt: skip
    assert [one.params["lam"] for one in variations(Mixup(), "lam")] == [0.0, 1.0, 0.5]


def test_a_parameter_may_act_only_with_a_certain_value_of_another() -> None:
    class Two(Sound, frozen=True):
        """Add b where a is on. Source: none."""

        name = "two_parameters"
        a: Annotated[bool, Meta(description="whether b is added")] = False
        b: Annotated[float, Meta(ge=0, description="what is added")] = 1.0

        def per_sample(self, logits, labels, counts):
            return Sound.per_sample(self, logits, labels, counts) + (self.b if self.a else 0)

    found = [f for f in conformance(Two) if f.check == "uses_every_parameter"]
    assert [(f.about, f.state) for f in found] == [("a", "ok"), ("b", "ok")]


def test_a_parameter_without_effect_is_reported_with_the_tested_values(registry) -> None:
    (found,) = [f for f in conformance(ForgottenParameter, registry) if f.state == "failed"]
    assert found.about == "gamma"
    assert "'gamma' has no effect: 0.0, 0.5, 2.0 give the same results as 1.0" in found.text
    assert "self.gamma" in found.fix


def test_an_exception_of_a_technique_is_a_finding_with_its_line(registry) -> None:
    class Raising(Loss, frozen=True):
        """Divide by nothing. Source: none."""

        name = "raising"

        def per_sample(self, logits, labels, counts):
            return logits / (1 // 0)

    found = [f for f in conformance(Raising, registry) if f.check == "is_deterministic"]
    line = Raising.per_sample.__code__.co_firstlineno + 1
    assert [f.text for f in found] == [
        f"it raised ZeroDivisionError: integer division or modulo by zero (test_conformance.py:{line}, in per_sample)"
    ]  # fmt: skip


def test_an_unusable_return_value_is_a_finding(registry) -> None:
    class Nothing(Sound, frozen=True):
        """Return nothing. Source: none."""

        name = "nothing"

        def per_sample(self, logits, labels, counts):
            return None

    found = {f.check: f for f in conformance(Nothing, registry)}
    assert found["losses_are_per_sample"].text.startswith("loss 'nothing' returned losses NoneType; expected")
    assert found["is_deterministic"].text.startswith("the return value is invalid: AttributeError")


def test_one_line_makes_a_test_for_each_check(tmp_path) -> None:
    (tmp_path / "my_loss.py").write_text(loss_source("my_loss", result="logits.softmax(1).log().sum(1)"))
    (tmp_path / "test_my_loss.py").write_text(
        "from my_loss import Mine\nfrom ltbench.testing import checks\ntest_my_loss = checks(Mine)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-rfs", "test_my_loss.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 1, ran.stderr
    lines = ran.stdout.splitlines()
    failed = [line for line in lines if line.startswith("FAILED")]
    assert [line.split("[")[1].split("]")[0] for line in failed] == ["losses_are_finite_for_large_logits-my_loss"]
    assert any("expected finite values" in line for line in lines)
    assert "Traceback" not in ran.stdout


def test_pytest_is_imported_by_nothing_but_checks() -> None:
    code = "import sys; from ltbench.testing import checks, conformance; print({'pytest', 'torch', 'numpy'} & {*sys.modules})"
    assert python(code).stdout == "set()\n"


def test_a_finding_prints_observation_and_fix() -> None:
    finding = Finding(
        check="is_deterministic", technique="a[b=1]", about="b", state="failed", text="seen", fix="do this"
    )
    assert str(finding) == "is_deterministic of a[b=1], b: seen\n  try: do this"


def test_a_class_without_defaults_is_an_error() -> None:
    class NoDefault(Loss, frozen=True):
        """Lack a default. Source: none."""

        name = "no_default"
        gamma: Annotated[float, Meta(ge=0, description="needed")]

    with pytest.raises(PluginError, match="cannot be constructed with its defaults") as told:
        checks(NoDefault)
    assert "gamma" in str(told.value)
    with pytest.raises(PluginError, match="is not a technique"):
        checks(dict)


def test_a_misspelled_method_is_reported_with_the_right_name() -> None:
    class Misspelt(Loss):
        """Cross entropy. Source: none."""

        name = "misspelt"

        def per_samples(self, logits, labels, counts):
            return -logits.log_softmax(1).gather(1, labels[:, None])[:, 0]

    found = {finding.check: finding for finding in conformance(Misspelt) if finding.state == "failed"}
    finding = found["losses_are_per_sample"]
    assert finding.text == "Misspelt does not implement `per_sample`"
    assert finding.fix == "rename per_samples to per_sample"
