"""Techniques under all checks of their stage: as a pytest test, and as a list of findings."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from ltbench import stages
from ltbench.errors import CheckFailed, LtbenchError, PluginError, nearest
from ltbench.technique import Technique, fields
from ltbench.testing import fresh_process
from ltbench.testing.check import Check
from ltbench.testing.checks_by_stage import of_stage
from ltbench.testing.finding import Finding, Skip, State
from ltbench.testing.parameter_values import settings
from ltbench.testing.subject import Subject

if TYPE_CHECKING:
    from ltbench.registry.registry import Registry

SIZES = (2, 1000)
"""Numbers of classes, few and many, that techniques are tried with beside the usual 10."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A check on one technique, still to be made."""

    check: Check
    technique: Technique
    argument: int | str | None = None

    @property
    def about(self) -> str:
        """What distinguishes it from other trials of the check with the same technique."""
        return f"{self.argument} classes" if isinstance(self.argument, int) else self.argument or ""

    @property
    def id(self) -> str:
        """Its name in a report of pytest: `losses_are_finite-focal[gamma=0]`."""
        return "-".join(filter(None, (self.check.name, self.technique.label, self.about.replace(" ", "_"))))

    def run(self, registry: Registry | None = None) -> Finding:
        """Make the check. Whatever the technique raises is a finding."""
        subject = Subject(self.technique, registry)
        try:
            self.check.run(subject, *([] if self.argument is None else [self.argument]))
        except Skip as reason:
            return self._found("skipped", str(reason))
        except CheckFailed as error:
            return self._found("failed", f"{error.what}; expected {error.why}", error.fix)
        except LtbenchError as error:
            return self._found(
                "failed", "; ".join(filter(None, (error.what, error.why))), error.fix or self.check.demand
            )
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin raises is the finding
            return self._raised(error, subject.line(error))
        return self._found("ok", self.check.demand)

    def _raised(self, error: BaseException, line: str) -> Finding:
        said = f"{type(error).__name__}: {error}".rstrip(": ")
        if line:
            return self._found("failed", f"it raised {said} ({line})", f"mend {line.partition(',')[0]}", raised=True)
        if isinstance(error, NotImplementedError) and (name := _unwritten(error)):
            own = [one for one in vars(type(self.technique)) if not one.startswith("_")]
            near = nearest(name, own)
            return self._found(
                "failed", f"{type(self.technique).__name__} does not implement `{name}`",
                f"rename {near[0]} to {name}" if near else f"write {name}, as the page of its stage has it", raised=True,
            )  # fmt: skip
        return self._found(
            "failed",
            f"what it returned cannot be used: {said}",
            f"return what {self.technique.stage} techniques return; shapes and dtypes are in ltbench/stages.py",
        )

    def _found(self, state: State, text: str, fix: str = "", *, raised: bool = False) -> Finding:
        return Finding(
            check=self.check.name, technique=self.technique.label, about=self.about, state=state, text=text, fix=fix,
            raised=raised,
        )  # fmt: skip


def conformance(technique: Technique | type[Technique], registry: Registry | None = None) -> list[Finding]:
    """Return what every check of its stage finds. A class is tried with other values of its parameters, too.

    registry: where names are taken; by default what is installed.
    """
    fresh_process.start(technique.stage)
    return [trial.run(registry) for trial in trials(technique)]


def trials(technique: Technique | type[Technique]) -> Iterator[Trial]:
    """Yield every trial of a technique, by check."""
    varied = settings(_made(technique)) if inspect.isclass(technique) else [technique]
    for check in of_stage(varied[0].stage):
        yield from _of_check(check, varied)


def _made(kind: type[Technique]) -> Technique:
    """Return a technique with its defaults; raise `PluginError` where that cannot be made."""
    what = f"{kind.__module__}.{kind.__qualname__}"
    if not issubclass(kind, Technique):
        raise PluginError(f"{what} is no technique", fix="a class derived from Loss, Sampler or another stage's")
    try:
        return kind()
    except (TypeError, LtbenchError) as error:
        raise PluginError(
            f"{what} cannot be made with its defaults", why=str(error), fix="give every parameter a default in range"
        ) from None


def _of_check(check: Check, varied: list[Technique]) -> Iterable[Trial]:
    match check.per:
        case "technique":
            return [Trial(check=check, technique=varied[0])]
        case "setting":
            return [Trial(check=check, technique=one) for one in varied]
        case "size":
            return [Trial(check=check, technique=varied[0], argument=size) for size in SIZES]
        case "parameter":
            return [Trial(check=check, technique=varied[0], argument=field.name) for field in fields(type(varied[0]))]


def checks(*techniques: Technique | type[Technique]) -> Callable[[Trial], None]:
    """Return a test function for pytest with a test for each check of each technique.

    test_my_loss = checks(MyLoss)
    """
    import pytest

    made = {trial.id: trial for technique in techniques for trial in trials(technique)}

    @pytest.mark.parametrize("trial", list(made.values()), ids=list(made))
    def test_conformance(trial: Trial) -> None:
        finding = trial.run()
        if finding.state == "skipped":
            pytest.skip(finding.text)
        if finding.state == "failed":
            pytest.fail(str(finding), pytrace=False)

    return test_conformance


def _unwritten(error: BaseException) -> str:
    """Return the method of a stage's base class that an error came out of; empty where it came out of another place."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_code.co_name if frame.f_globals.get("__name__") == stages.__name__ else ""
