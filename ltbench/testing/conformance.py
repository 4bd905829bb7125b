"""Runs all checks of a stage on techniques: as pytest tests, or as a list of findings."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from ltbench import stages
from ltbench.core.process_state import ProcessState, forget_calls
from ltbench.core.signals import is_request_to_stop
from ltbench.core.words import with_article
from ltbench.errors import CheckFailed, LtbenchError, MissingExtra, PluginError, nearest, raised
from ltbench.technique import Technique, fields
from ltbench.testing import fresh_process
from ltbench.testing.check import Check, Per
from ltbench.testing.checks_by_stage import of_stage
from ltbench.testing.finding import Finding, Skip, State
from ltbench.testing.parameter_values import settings
from ltbench.testing.subject import Subject

if TYPE_CHECKING:
    from ltbench.registry.registry import Registry

SIZES = (2, 1000)
"""Small and large numbers of classes for tests, besides the default of 10."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A check to be run on a technique."""

    check: Check
    technique: Technique
    argument: int | str | None = None

    @property
    def about(self) -> str:
        """The parameter or number of classes, if the check runs for several."""
        return f"{self.argument} classes" if isinstance(self.argument, int) else self.argument or ""

    @property
    def id(self) -> str:
        """The name of the test in pytest: `losses_are_per_sample-focal[gamma=0]`."""
        return "-".join(filter(None, (self.check.name, self.technique.label, self.about.replace(" ", "_"))))

    def run(self, registry: Registry | None = None) -> Finding:
        """Run the check. Any exception of the technique becomes a finding, and the state of the process is restored."""
        forget_calls()
        state = ProcessState(of_job=True)
        try:
            return self._run(Subject(self.technique, registry))
        finally:
            state.restore()  # or later checks would start from the changed state and find no change

    def _run(self, subject: Subject) -> Finding:
        try:
            self.check.run(subject, *([] if self.argument is None else [self.argument]))
        except Skip as reason:
            return self._finding("skipped", str(reason))
        except MissingExtra as error:
            return self._finding("skipped", error.what)
        except CheckFailed as error:
            return self._finding("failed", f"{error.what}; expected {error.why}", error.fix)
        except LtbenchError as error:
            text = "; ".join(filter(None, (error.what, error.why)))
            return self._finding("failed", text, error.fix or self.check.requirement)
        except BaseException as error:  # any exception of a plugin becomes a finding
            if is_request_to_stop(error):
                raise
            return self._raised(error, subject.line(error))
        return self._finding("ok", self.check.requirement)

    def _raised(self, error: BaseException, line: str) -> Finding:
        what = raised(error)
        if line:
            fix = f"correct {line.partition(',')[0]}"
            return self._finding("failed", f"it raised {what} ({line})", fix, raised=True)
        if issubclass(type(error), NotImplementedError) and (name := _missing_method(error)):
            own = [attribute for attribute in vars(type(self.technique)) if not attribute.startswith("_")]
            near = nearest(name, own)
            return self._finding(
                "failed", f"{type(self.technique).__name__} does not implement `{name}`",
                f"rename {near[0]} to {name}" if near else f"implement {name}; see the page of the stage", raised=True,
            )  # fmt: skip
        return self._finding(
            "failed",
            f"the return value is invalid: {what}",
            f"return the shapes and dtypes that ltbench/stages/ states for {with_article(self.technique.stage)}",
        )

    def _finding(self, state: State, text: str, fix: str = "", *, raised: bool = False) -> Finding:
        return Finding(
            check=self.check.name, technique=self.technique.label, about=self.about, state=state, text=text, fix=fix,
            raised=raised,
        )  # fmt: skip


def conformance(technique: Technique | type[Technique], registry: Registry | None = None) -> list[Finding]:
    """Return the findings of all checks of the stage. A class is also checked with other values of its parameters.

    registry: for names in use; by default with all installed plugins.
    """
    fresh_process.start(technique.stage)  # starts in parallel with the first checks
    return [trial.run(registry) for trial in trials(technique)]


def trials(technique: Technique | type[Technique]) -> Iterator[Trial]:
    """Yield every trial of a technique, by check."""
    varied = settings(_with_defaults(technique)) if inspect.isclass(technique) else [technique]
    names = [field.name for field in fields(type(varied[0]))]
    arguments: Mapping[Per, Iterable[int | str | None]] = {
        "technique": [None], "setting": [None], "size": SIZES, "parameter": names,
    }  # fmt: skip
    for check in of_stage(varied[0].stage):
        for variant in varied if check.per == "setting" else varied[:1]:
            for argument in arguments[check.per]:
                yield Trial(check=check, technique=variant, argument=argument)


def _with_defaults(kind: type[Technique]) -> Technique:
    """Return the technique with default parameters; raise `PluginError` if it cannot be constructed."""
    what = f"{kind.__module__}.{kind.__qualname__}"
    if not issubclass(kind, Technique):
        raise PluginError(f"{what} is not a technique", fix="pass a class derived from Loss, Sampler or another stage")
    try:
        return kind()
    except (TypeError, LtbenchError) as error:
        raise PluginError(
            f"{what} cannot be constructed with its defaults",
            why=str(error),
            fix="give every parameter a default in range",
        ) from None


def checks(*techniques: Technique | type[Technique]) -> Callable[[Trial], None]:
    """Return a parametrised pytest function with a test for each check of each technique.

    Give it a name that pytest finds: `test_my_loss = checks(MyLoss)`.
    """
    import pytest

    by_id = {trial.id: trial for technique in techniques for trial in trials(technique)}

    @pytest.mark.parametrize("trial", list(by_id.values()), ids=list(by_id))
    def test_conformance(trial: Trial) -> None:
        finding = trial.run()
        if finding.state == "skipped":
            pytest.skip(finding.text)
        if finding.state == "failed":
            pytest.fail(str(finding), pytrace=False)

    return test_conformance


def _missing_method(error: BaseException) -> str:
    """Return the base-class method of a stage that raised an error; empty if other code raised it."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_code.co_name if frame.f_globals.get("__name__", "").startswith(f"{stages.__name__}.") else ""
