"""Checks of every stage: name, docstring, parameters, determinism."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin

import msgspec

from ltbench.core.process_state import ProcessState, written
from ltbench.errors import PluginError, nearest
from ltbench.registry.notation import parse_selection
from ltbench.registry.parameter_help import parameters
from ltbench.registry.registry import UnknownTechnique
from ltbench.registry.source_digest import source_digest
from ltbench.stages import STAGES
from ltbench.technique import Technique, allowed, fields
from ltbench.testing.check import per_parameter, per_setting, per_size, per_technique
from ltbench.testing.finding import Skip
from ltbench.testing.flat_values import difference, flat
from ltbench.testing.inputs import Inputs, with_rare
from ltbench.testing.parameter_values import variations, why_not_varied
from ltbench.testing.randomness import seeded, states
from ltbench.testing.stage_calls import call_all
from ltbench.testing.subject import Subject, failed

_WORD = re.compile(r"[a-z][a-z0-9_]*\Z")


@per_technique
def has_a_unique_name(on: Subject) -> None:
    """The name is one word, and no other technique or stage has it.

    Command lines, suites and records refer to techniques by name, and `conflicts` and `needs` contain names of
    techniques and stages.
    """
    kind, name = type(on.technique), on.technique.name
    if not _WORD.match(str(name)):
        raise failed(f"the name is {name!r}", "a lower-case word", f'name = "my_{on.technique.stage}"')
    if name in STAGES:
        raise failed(f"the name '{name}' is the name of a stage", "another word", f'name = "my_{name}"')
    try:
        taken = None if _of_family(on, name) else on.registry.entry(name)
    except UnknownTechnique:
        return
    except PluginError as error:
        raise failed(error.why or error.what, f"'{name}' to be unused", "choose another name") from None
    if taken is not None and not _same_class(taken.technique, kind):
        owner = "a built-in technique" if taken.distribution == "ltbench" else f"a technique of {taken.distribution}"
        raise failed(f"the name '{name}' is already used by {owner}", "an unused name", "choose another name")


def _of_family(on: Subject, name: str) -> bool:
    # A registered technique takes precedence over a member of a family, so this name may be used.
    return name not in on.registry.entries and any(name in family.names() for _, family in on.registry.families)


def _same_class(one: type[Technique], other: type[Technique]) -> bool:
    """Whether two classes are the same, possibly imported under two names."""
    return one is other or (one.__qualname__ == other.__qualname__ and source_digest(one) == source_digest(other) != "")


@per_technique
def names_its_source(on: Subject) -> None:
    """The docstring says in one line what the technique does, and gives its source after `Source:`.

    `ltbench list` and `ltbench show` print it, so that readers of a leaderboard can find the formula.
    """
    text = vars(type(on.technique)).get("__doc__") or ""
    if not text.strip():
        raise failed(
            "there is no docstring",
            "a docstring that says in one line what the technique does",
            '"""Do this. Source: paper, equation."""',
        )
    if not re.search(r"\bSource:\s*\S", text):
        raise failed("the docstring names no source", "'Source: paper, equation', or 'Source: none'", "add that line")


@per_parameter
def parameters_are_described(on: Subject, parameter: str) -> None:
    """Each parameter has a description, and each number a range.

    `ltbench show` prints them, and a value out of range is rejected before training starts.
    """
    technique: type[Technique] = type(on.technique)
    kind = next(field.type for field in fields(technique) if field.name == parameter)
    described = next(help_ for help_ in parameters(technique) if help_.name == parameter)
    fix = f'{parameter}: Annotated[float, Meta(ge=0, description="what it does")]'
    if not described.about:
        raise failed(f"parameter '{parameter}' has no description", "a description", fix)
    if _is_unbounded(kind):
        raise failed(f"parameter '{parameter}' is any number ({allowed(kind)})", "a range: ge, gt, le or lt", fix)


def _is_unbounded(kind: Any, limited: bool = False) -> bool:
    """Whether a type contains a number without a range."""
    if get_origin(kind) is Annotated:
        base, *metas = get_args(kind)
        ends = any(getattr(meta, end, None) is not None for meta in metas for end in ("ge", "gt", "le", "lt"))
        return _is_unbounded(base, ends)
    if kind in {int, float}:
        return not limited
    return any(_is_unbounded(part, limited) for part in get_args(kind) if isinstance(part, type) or get_args(part))


@per_setting
def round_trips_as_text(on: Subject) -> None:
    """The text of a technique, such as `focal[gamma=1.5]`, parses to an equal technique.

    Command lines, suites and records identify techniques by this text.
    """
    label = on.technique.label
    fix = "parameters must be numbers, words, booleans or tuples of these"
    try:
        hash(on.technique)
    except TypeError as error:
        raise failed(f"a parameter is mutable ({error})", "a tuple instead of a list", fix) from None
    choices = parse_selection(label)
    read = [type(on.technique).parse(params) for choice in choices for params in choice.expanded()]
    if read != [on.technique]:
        raise failed(f"'{label}' parses to {' and '.join(parsed.label for parsed in read)}", "an equal technique", fix)


@per_technique
def declares_valid_relations(on: Subject) -> None:
    """`conflicts`, `needs`, `doubtful` and `requires` map names to texts; `revision` is an integer of at least 1.

    Plans and pages print the reason for each combination that is left out. A stage has one baseline, to which all rows
    are compared.
    """
    technique = on.technique
    for field in ("conflicts", "needs", "doubtful", "requires"):
        mapping: object = getattr(technique, field)
        if not (
            isinstance(mapping, Mapping)
            and all(isinstance(k, str) and isinstance(v, str) and v for k, v in mapping.items())
        ):
            text = "how to install it" if field == "requires" else "why"
            raise failed(f"{field} is {mapping!r}", "names and texts", f'{field} = {{"other": "{text}"}}')
        for other in () if field == "requires" else mapping:
            _is_known(on, field, other)
    revision: object = technique.revision
    if not (isinstance(revision, int) and revision >= 1):
        raise failed(f"revision is {technique.revision!r}", "an integer of at least 1", "revision = 2")
    baseline = on.registry.baseline(technique.stage)
    if technique.baseline and baseline is not None and baseline.name != technique.name:
        raise failed("baseline is True", f"one baseline per stage ('{baseline.name}')", "remove baseline")


def _is_known(on: Subject, field: str, other: str) -> None:
    """Raise if a name is close to a known one. Other names may belong to plugins that are not installed."""
    known = [*STAGES, *on.registry.entries, on.technique.name]
    near = [] if other in known else nearest(other, known, n=1)
    if near and abs(len(near[0]) - len(other)) <= 2:
        raise failed(f"{field} names '{other}', which does not exist", f"'{near[0]}'", f"did you mean {near[0]}?")


@per_setting
def does_not_modify_inputs(on: Subject) -> None:
    """No method modifies its arguments.

    Other techniques get the same labels, class counts and logits, and stored arrays are reused.
    """
    inputs = Inputs(counts=with_rare())  # an in-place clamp only has an effect on classes without images
    on.result(inputs)
    if modified := inputs.modified():
        raise failed(
            f"it modified {' and '.join(modified)}", "unmodified arguments",
            "work on a copy: methods that end with _ and assignments to elements modify a tensor in place",
        )  # fmt: skip


@per_setting
def does_not_use_global_randomness(on: Subject) -> None:
    """The global random states of python, numpy and torch are neither advanced nor used.

    Each purpose has its own generator, so that adding a technique does not change the random draws of others, and
    combinations with the same seed stay paired.
    """
    fix = "use the generator in the arguments: torch.rand(n, generator=generator, device=generator.device)"
    # Called first, so that all libraries are loaded before states are compared.
    first, again = on.default_result, on.result()
    with seeded(1):
        before = states()
        other = flat(call_all(on.technique, Inputs()))
        moved = [name for name, state in states().items() if state != before.get(name, state)]
    if moved:
        raise failed(f"it changed the global random state of {' and '.join(moved)}", "an unchanged state", fix)
    if not difference(first, again) and (place := difference(first, other)):
        raise failed(f"{place} depends on the global random state", "no dependence", fix)


@per_setting
def leaves_no_state_behind(on: Subject) -> None:
    """No method changes the state of the process: torch's defaults and modes, environment, working directory etc.

    Otherwise the next job in the process would get other numbers under the same identity.
    """
    first = ProcessState()
    on.result()  # called once before, so that all libraries are loaded
    first.restore()
    before = ProcessState()
    on.result()
    if changes := before.changes():
        raise failed(f"it changed {written(changes)}", "an unchanged state",
                     "restore it before returning (with, or try and finally), or avoid the change")  # fmt: skip


@per_setting
def is_deterministic(on: Subject) -> None:
    """Equal inputs and generators give bit-identical results.

    A job is identified by its inputs, and its result is reused.
    """
    if place := difference(on.default_result, on.result()):
        raise failed(
            f"{place} differs between two calls with equal inputs and generators", "equal results",
            "do not use the clock or an unseeded generator, and keep no state between calls",
        )  # fmt: skip


@per_size
def works_with_any_number_of_classes(on: Subject, classes: int) -> None:
    """The technique works with 2 classes and with 1,000.

    Suites range from two tissue classes to ImageNet.
    """
    on.result(Inputs(classes))


@per_parameter
def uses_every_parameter(on: Subject, parameter: str) -> None:
    """Each value of a parameter gives results that differ from its default.

    Every value has its own identity: without an effect, the same row of a leaderboard would be trained twice. Also
    tested with class counts up to 5,000, large logits, larger images, and other values of the other parameters.
    """
    if reason := why_not_varied(on.technique, parameter):
        raise Skip(f"parameter '{parameter}': {reason}")
    others = [name for name in on.technique.__struct_fields__ if name != parameter]
    # A parameter may only have an effect for some values of another one, such as the size of a disabled step.
    contexts = [on.technique, *(other for name in others for other in variations(on.technique, name))]
    tried = [getattr(other, parameter) for other in variations(on.technique, parameter)]
    same = list(tried)
    for context, large in [
        (on.technique, False),
        (on.technique, True),
        *((context, False) for context in contexts[1:]),
    ]:
        plain = on.result(_inputs(large), technique=context)
        for other in variations(context, parameter):
            value = getattr(other, parameter)
            if value in same and difference(plain, on.result(_inputs(large), technique=other)):
                same.remove(value)
        if not same:
            return
    values = ", ".join(msgspec.json.encode(value).decode() for value in same)
    now = f"the same results as {getattr(on.technique, parameter)!r}"
    if same == tried:
        raise failed(
            f"parameter '{parameter}' has no effect: {values} give {now}",
            "other results", f"use self.{parameter}, or remove the parameter",
        )  # fmt: skip
    raise failed(
        f"parameter '{parameter}' changes the identity but not the results: {values} gives {now}",
        "different results",
        "restrict the range to values with an effect, or name the parameter in without_effect() if others disable it",
    )


def _inputs(large: bool) -> Inputs:
    """Return the usual inputs, or larger ones that reach further limits."""
    return Inputs(counts=[5000, 2000, 800, 300, 100, 50], size=20.0, pixels=32) if large else Inputs()


CHECKS = (
    has_a_unique_name, names_its_source, parameters_are_described, declares_valid_relations, round_trips_as_text,
    uses_every_parameter, does_not_use_global_randomness, leaves_no_state_behind, is_deterministic,
)  # fmt: skip
WITH_INPUTS = (works_with_any_number_of_classes, does_not_modify_inputs)
"""Checks of techniques whose methods have arguments; those of data sets and regimes have none."""
