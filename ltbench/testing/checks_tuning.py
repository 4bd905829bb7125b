"""Checks of what a technique says about tuning."""

from __future__ import annotations

from itertools import product

from ltbench.errors import LtbenchError
from ltbench.technique import Technique, allowed, fields
from ltbench.testing.check import per_parameter
from ltbench.testing.subject import Subject, failed
from ltbench.tune import NotTuned, Tune, declared, has_range, is_whole, tuned_parameters

_PLACES = 64
"""Places of a range at which values are constructed."""


@per_parameter
def says_what_is_worth_tuning(on: Subject, parameter: str) -> None:
    """Each parameter that is a number has the range that is worth tuning, with its default, or the reason why there is none.

    A suite that tunes techniques gives each the same number of trials in its own range. A range that is too wide wastes
    them, and one without the default cannot find that the default is best. All values are tried together with those of
    the other parameters, so `check` has to accept them.
    """
    technique: type[Technique] = type(on.technique)
    kind = next(field.type for field in fields(technique) if field.name == parameter)
    said = declared(kind)
    fix = f'{parameter}: Annotated[..., Meta(...), Tune(low, high)], or NotTuned("why not")'
    if said is None:
        if not has_range(kind):
            return
        raise failed(f"parameter '{parameter}' does not say what is worth tuning", "Tune or NotTuned", fix)
    if isinstance(said, NotTuned):
        if not said.why.strip():
            raise failed(f"parameter '{parameter}' is not tuned without a reason", "the reason", fix)
        return
    _check_values(technique, parameter, said)


def _check_values(technique: type[Technique], parameter: str, tune: Tune) -> None:
    kind = next(field.type for field in fields(technique) if field.name == parameter)
    if not tune.contains(default := getattr(technique(), parameter)):
        raise failed(f"{parameter}: {tune} does not contain the default {default!r}", "a range with the default",
                     "the values that papers report around the default")  # fmt: skip
    if tune.is_range and not has_range(kind):
        raise failed(f"{parameter}: {tune} is a range, and the parameter is {allowed(kind)}", "its alternatives", 'Tune("one", "other")')  # fmt: skip
    whole = is_whole(technique, parameter)
    for value in dict.fromkeys(tune.at(place / _PLACES, whole=whole) for place in range(_PLACES)):
        _construct(technique, {parameter: value}, f"a range within {allowed(kind)}", "narrow Tune, or widen Meta")
    for other, its in tuned_parameters(technique).items():
        for pair in product(tune.values, its.values if other != parameter else ()):
            _construct(technique, dict(zip((parameter, other), pair, strict=True)), "ranges that go together",
                       "narrow one of them, or say NotTuned for one")  # fmt: skip


def _construct(technique: type[Technique], values: dict[str, object], expected: str, fix: str) -> None:
    try:
        technique(**values)
    except LtbenchError as error:
        shown = " with ".join(f"{name} = {value!r}" for name, value in values.items())
        raise failed(f"{shown} is refused, but is to be tuned: {error.what}", expected, fix) from None


CHECKS = (says_what_is_worth_tuning,)
