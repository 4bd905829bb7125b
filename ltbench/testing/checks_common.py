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
    """The name is one word that no other technique and no stage has.

    Command lines, suites and records pick techniques by name, and `conflicts` and `needs` name both techniques and
    stages.
    """
    kind, name = type(on.technique), on.technique.name
    if not _WORD.match(str(name)):
        raise failed(f"the name is {name!r}", "a word in lower case", f'name = "my_{on.technique.stage}"')
    if name in STAGES:
        raise failed(f"the name '{name}' is that of a stage", "another word", f'name = "my_{name}"')
    try:
        taken = None if _of_family(on, name) else on.registry.entry(name)
    except UnknownTechnique:
        return
    except PluginError as error:
        raise failed(error.why or error.what, f"'{name}' to be free", "choose another name") from None
    if taken is not None and not _same_class(taken.technique, kind):
        owner = "a built-in technique" if taken.distribution == "ltbench" else f"one of {taken.distribution}"
        raise failed(f"the name '{name}' is that of {owner}", "a name that is free", "choose another name")


def _of_family(on: Subject, name: str) -> bool:
    # A registered technique takes precedence over a member of a family, so this name is free.
    return name not in on.registry.entries and any(name in family.names() for _, family in on.registry.families)


def _same_class(one: type[Technique], other: type[Technique]) -> bool:
    """Whether two classes are the same one, possibly imported under two names."""
    return one is other or (one.__qualname__ == other.__qualname__ and source_digest(one) == source_digest(other) != "")


@per_technique
def names_its_source(on: Subject) -> None:
    """The docstring says in one line what the technique does, and after `Source:` where it comes from.

    `ltbench list` and `ltbench show` print it, and readers of a leaderboard have to find the formula.
    """
    text = vars(type(on.technique)).get("__doc__") or ""
    if not text.strip():
        raise failed(
            "there is no docstring", "one that says what it does in one line", '"""Do this. Source: paper, equation."""'
        )
    if not re.search(r"\bSource:\s*\S", text):
        raise failed("the docstring names no source", "'Source: paper, equation', or 'Source: none'", "add that line")


@per_parameter
def parameters_are_described(on: Subject, parameter: str) -> None:
    """Each parameter has a description, and each number a range.

    `ltbench show` prints them, and a value out of range is refused before training starts.
    """
    technique: type[Technique] = type(on.technique)
    kind = next(field.type for field in fields(technique) if field.name == parameter)
    described = next(help_ for help_ in parameters(technique) if help_.name == parameter)
    fix = f'{parameter}: Annotated[float, Meta(ge=0, description="what it does")]'
    if not described.about:
        raise failed(f"parameter '{parameter}' has no description", "what it means", fix)
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

    Command lines, suites and records name a technique by this text, and compare techniques by it.
    """
    label = on.technique.label
    fix = "parameters are numbers, words, switches and tuples of those"
    try:
        hash(on.technique)
    except TypeError as error:
        raise failed(f"a parameter is mutable ({error})", "a tuple in place of a list", fix) from None
    choices = parse_selection(label)
    read = [type(on.technique).parse(params) for choice in choices for params in choice.expanded()]
    if read != [on.technique]:
        raise failed(f"'{label}' parses to {' and '.join(parsed.label for parsed in read)}", "an equal technique", fix)


@per_technique
def declares_valid_relations(on: Subject) -> None:
    """`conflicts`, `needs` and `doubtful` map names to reasons; `revision` is an integer of at least 1.

    Plans and pages print the reason for each combination that is left out. A stage has one baseline, which all rows
    are compared with.
    """
    technique = on.technique
    for field in ("conflicts", "needs", "doubtful"):
        mapping: object = getattr(technique, field)
        if not (
            isinstance(mapping, Mapping)
            and all(isinstance(k, str) and isinstance(v, str) and v for k, v in mapping.items())
        ):
            raise failed(f"{field} is {mapping!r}", "names and reasons", f'{field} = {{"other": "why"}}')
        for other in mapping:
            _is_known(on, field, other)
    revision: object = technique.revision
    if not (isinstance(revision, int) and revision >= 1):
        raise failed(f"revision is {technique.revision!r}", "an integer of at least 1", "revision = 2")
    baseline = on.registry.baseline(technique.stage)
    if technique.baseline and baseline is not None and baseline.name != technique.name:
        raise failed("baseline is True", f"one baseline per stage, which is '{baseline.name}'", "remove baseline")


def _is_known(on: Subject, field: str, other: str) -> None:
    """Raise where a name is close to a known one. A name that resembles none may be of a plugin that is not installed."""
    known = [*STAGES, *on.registry.entries, on.technique.name]
    near = [] if other in known else nearest(other, known, n=1)
    if near and abs(len(near[0]) - len(other)) <= 2:
        raise failed(f"{field} names '{other}', which does not exist", f"'{near[0]}'", f"did you mean {near[0]}?")


@per_setting
def does_not_modify_inputs(on: Subject) -> None:
    """No method modifies its arguments.

    Other techniques get the same labels, class counts and logits, and stored arrays are read again.
    """
    inputs = Inputs(counts=with_rare())  # a clamp in place shows on classes without images only
    on.result(inputs)
    if modified := inputs.modified():
        raise failed(
            f"it modified {' and '.join(modified)}", "unmodified arguments",
            "work on a copy: methods that end with _ and assignments to elements modify a tensor in place",
        )  # fmt: skip


@per_setting
def does_not_use_global_randomness(on: Subject) -> None:
    """The global random states of python, numpy and torch are neither advanced nor used.

    Each purpose has its own generator: switching one technique on leaves the draws of all others as they were, so that
    two combinations with the same seed stay paired.
    """
    fix = "draw from the generator in the arguments: torch.rand(n, generator=generator, device=generator.device)"
    # Called first, so that every library that it imports is loaded before states are compared.
    first, again = on.default_result, on.result()
    with seeded(1):
        before = states()
        other = flat(call_all(on.technique, Inputs()))
        moved = [name for name, state in states().items() if state != before.get(name, state)]
    if moved:
        raise failed(f"the global state of {' and '.join(moved)} has advanced", "an unchanged state", fix)
    if not difference(first, again) and (place := difference(first, other)):
        raise failed(f"{place} depends on the global random state", "no dependence", fix)


@per_setting
def leaves_no_state_behind(on: Subject) -> None:
    """The state of the process is as before: torch's defaults and modes, environment, working directory, and so on.

    The next job of the process would otherwise compute in that state, and get other numbers under the same identity.
    """
    first = ProcessState()
    on.result()  # once before, so that every library that it imports is loaded
    first.restore()
    before = ProcessState()
    on.result()
    if changes := before.changes():
        raise failed(f"it changed {written(changes)}", "the state as before",
                     "put it back before returning (with, or try and finally), or do without it")  # fmt: skip


@per_setting
def is_deterministic(on: Subject) -> None:
    """Equal inputs and generators give bit-identical results.

    A job is identified by its inputs, and its result is reused.
    """
    if place := difference(on.default_result, on.result()):
        raise failed(
            f"{place} differs between two calls with equal inputs and generators", "equal results",
            "use no clock and no unseeded generator, and keep no state between calls",
        )  # fmt: skip


@per_size
def works_with_any_number_of_classes(on: Subject, classes: int) -> None:
    """The technique works with 2 classes and with 1,000.

    Suites range from two kinds of tissue to ImageNet.
    """
    on.result(Inputs(classes))


@per_parameter
def uses_every_parameter(on: Subject, parameter: str) -> None:
    """Each value of a parameter gives other results than its default.

    Every value is another identity: one without effect gives rows of a leaderboard that are trained twice and are the
    same. Tested also with class counts up to 5,000, large logits and larger images, and with other values of the other
    parameters.
    """
    if reason := why_not_varied(on.technique, parameter):
        raise Skip(f"parameter '{parameter}': {reason}")
    others = [name for name in on.technique.__struct_fields__ if name != parameter]
    # A parameter may act only where another one has a certain value, such as the size of a step that is switched off.
    contexts = [on.technique, *(other for name in others for other in variations(on.technique, name))]
    tried = [getattr(other, parameter) for other in variations(on.technique, parameter)]
    same = list(tried)
    for context, large in [
        (on.technique, False),
        (on.technique, True),
        *((context, False) for context in contexts[1:]),
    ]:
        plain = on.result(_large(large), technique=context)
        for other in variations(context, parameter):
            value = getattr(other, parameter)
            if value in same and difference(plain, on.result(_large(large), technique=other)):
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
        f"parameter '{parameter}' changes the identity and nothing that the technique returns: {values} gives {now}",
        "other results, or no such value",
        "narrow the range of the parameter to where it acts, or name it in without_effect() where others switch it off",
    )


def _large(large: bool) -> Inputs:
    """Return the usual inputs, or some on which limits act that are beyond those."""
    return Inputs(counts=[5000, 2000, 800, 300, 100, 50], size=20.0, pixels=32) if large else Inputs()


CHECKS = (
    has_a_unique_name, names_its_source, parameters_are_described, declares_valid_relations, round_trips_as_text,
    uses_every_parameter, does_not_use_global_randomness, leaves_no_state_behind, is_deterministic,
)  # fmt: skip
WITH_INPUTS = (works_with_any_number_of_classes, does_not_modify_inputs)
"""Checks of techniques whose methods have arguments; data sets and regimes have none."""
