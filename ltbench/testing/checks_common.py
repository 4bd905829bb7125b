"""What every technique has to hold, whatever its stage: its name, its words, its parameters, its manners."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin

import msgspec

from ltbench.errors import PluginError, nearest
from ltbench.registry.notation import parse_selection
from ltbench.registry.parameter_help import parameters
from ltbench.registry.registry import UnknownTechnique
from ltbench.registry.source_digest import source_digest
from ltbench.stages import STAGES
from ltbench.technique import Technique, allowed, fields
from ltbench.testing.check import per_parameter, per_setting, per_size, per_technique
from ltbench.testing.finding import Skip
from ltbench.testing.flat_values import Flat, difference, flat
from ltbench.testing.inputs import World, with_rare
from ltbench.testing.parameter_values import variations, why_not_varied
from ltbench.testing.randomness import seeded, states
from ltbench.testing.subject import Subject, failed

_WORD = re.compile(r"[a-z][a-z0-9_]*\Z")


@per_technique
def has_a_name_of_its_own(on: Subject) -> None:
    """Its name is one word that no other technique and no stage has.

    Techniques are picked by name on a command line, in suites and in records, and `conflicts` and `needs` name
    techniques and stages alike.
    """
    kind, name = type(on.technique), on.technique.name
    if not _WORD.match(str(name)):
        raise failed(f"its name is {name!r}", "a word in small letters", f'name = "my_{on.technique.stage}"')
    if name in STAGES:
        raise failed(f"its name '{name}' is that of a stage", "another word", f'name = "my_{name}"')
    try:
        taken = None if _of_family(on, name) else on.registry.entry(name)
    except UnknownTechnique:
        return
    except PluginError as error:
        raise failed(error.why or error.what, f"that '{name}' is free", "choose another name") from None
    if taken is not None and not _same_class(taken.technique, kind):
        owner = "a built-in technique" if taken.distribution == "ltbench" else f"one of {taken.distribution}"
        raise failed(f"its name '{name}' is that of {owner}", "a name that is free", "choose another name")


def _of_family(on: Subject, name: str) -> bool:
    # A registered technique goes before a member of a family, so that name is free.
    return name not in on.registry.entries and any(name in family.names() for _, family in on.registry.families)


def _same_class(one: type[Technique], other: type[Technique]) -> bool:
    """Tell whether two classes are one, which may have been imported in two ways."""
    return one is other or (one.__qualname__ == other.__qualname__ and source_digest(one) == source_digest(other) != "")


@per_technique
def names_its_source(on: Subject) -> None:
    """Its docstring says in one line what it does, and after `Source:` where that comes from.

    `ltbench list` and `ltbench show` print it, and a reader of a leaderboard has to find the formula.
    """
    text = vars(type(on.technique)).get("__doc__") or ""
    if not text.strip():
        raise failed("it has no docstring", "what it does, in one line", '"""Do this. Source: paper, equation."""')
    if not re.search(r"\bSource:\s*\S", text):
        raise failed("its docstring names no source", "'Source: paper, equation', or 'Source: none'", "add that line")


@per_parameter
def parameters_are_described(on: Subject, parameter: str) -> None:
    """Each parameter has a description, and each number a range.

    `ltbench show` prints them, and a value out of range is refused before anything is trained.
    """
    kind = next(field.type for field in fields(type(on.technique)) if field.name == parameter)
    found = next(one for one in parameters(type(on.technique)) if one.name == parameter)
    fix = f'{parameter}: Annotated[float, Meta(ge=0, description="what it does")]'
    if not found.about:
        raise failed(f"parameter '{parameter}' has no description", "what it means", fix)
    if _has_no_end(kind):
        raise failed(f"parameter '{parameter}' is any number ({allowed(kind)})", "a range: ge, gt, le or lt", fix)


def _has_no_end(kind: Any, limited: bool = False) -> bool:
    """Tell whether there is a number in a type that may have any value."""
    if get_origin(kind) is Annotated:
        base, *metas = get_args(kind)
        ends = any(getattr(meta, end, None) is not None for meta in metas for end in ("ge", "gt", "le", "lt"))
        return _has_no_end(base, ends)
    if kind in {int, float}:
        return not limited
    return any(_has_no_end(part, limited) for part in get_args(kind) if isinstance(part, type) or get_args(part))


@per_setting
def is_written_as_text(on: Subject) -> None:
    """It can be written down, as in `focal[gamma=1.5]`, and is the same when it is read again.

    That is how command lines, suites and records name a technique, and what two of them are compared by.
    """
    label = on.technique.label
    fix = "parameters are numbers, words, switches and tuples of those"
    try:
        hash(on.technique)
    except TypeError as error:
        raise failed(f"its parameters are not fixed values ({error})", "a tuple in place of a list", fix) from None
    choices = parse_selection(label)
    read = [type(on.technique).parse(params) for choice in choices for params in choice.expanded()]
    if read != [on.technique]:
        raise failed(f"'{label}' is read as {' and '.join(one.label for one in read)}", "itself", fix)


@per_technique
def says_what_it_goes_with(on: Subject) -> None:
    """`conflicts`, `needs` and `doubtful` map names to reasons, `revision` is a whole number from 1 on.

    A combination that is left out is shown with the reason. A stage has one baseline, which is what others are
    compared with.
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
        raise failed(f"revision is {technique.revision!r}", "a whole number of at least 1", "revision = 2")
    baseline = on.registry.baseline(technique.stage)
    if technique.baseline and baseline is not None and baseline.name != technique.name:
        raise failed("it says that it is the baseline", f"none beside '{baseline.name}'", "leave baseline out")


def _is_known(on: Subject, field: str, other: str) -> None:
    """Raise where a name is all but that of something else; one that is like nothing may not be installed."""
    known = [*STAGES, *on.registry.entries, on.technique.name]
    near = [] if other in known else nearest(other, known, n=1)
    if near and abs(len(near[0]) - len(other)) <= 2:
        raise failed(f"{field} names '{other}', which there is not", f"'{near[0]}'", f"did you mean {near[0]}?")


@per_setting
def leaves_its_inputs_alone(on: Subject) -> None:
    """It changes nothing of what it is handed.

    Labels, class counts and logits are handed to other techniques afterwards, and what is stored is read again.
    """
    world = World(counts=with_rare())  # a clamp of class counts changes nothing else
    on.outcome(world)
    if changed := world.changed():
        raise failed(
            f"it changed {' and '.join(changed)}", "its inputs as they were",
            "work on a copy: methods that end with _ and assignments to parts change their tensor",
        )  # fmt: skip


@per_setting
def leaves_global_randomness_alone(on: Subject) -> None:
    """It draws nothing from the global random states of python, numpy and torch, and does not depend on them.

    Each purpose has a generator of its own, so that switching one technique on leaves the draws of all others as they
    were and two combinations with one seed stay paired.
    """
    fix = "draw from the generator that is handed in: torch.rand(n, generator=generator, device=generator.device)"
    one, again = on.usual, on.outcome()  # the libraries that it imports are there from now on
    with seeded(1):
        before = states()
        other = _plainly(on)
        moved = [name for name, state in states().items() if state != before.get(name, state)]
    if moved:
        raise failed(f"the global state of {' and '.join(moved)} has moved", "it where it was", fix)
    if not difference(one, again) and (place := difference(one, other)):
        raise failed(f"{place} changes with the global random state", "the same whatever that is", fix)


def _plainly(on: Subject) -> Flat:
    from ltbench.testing.ask_everything import exercise

    return flat(exercise(on.technique, World()))


@per_setting
def repeats_itself(on: Subject) -> None:
    """The same inputs and equal generators give the same result, to the last bit.

    A job is identified by what goes into it, and is not done again: what it gave once is what it gives.
    """
    one, other = on.usual, on.outcome()
    if place := difference(one, other):
        raise failed(
            f"{place} differs between two calls with equal inputs and generators", "the same",
            "no clock, no generator without a seed, nothing remembered from call to call",
        )  # fmt: skip


@per_size
def works_with_any_number_of_classes(on: Subject, classes: int) -> None:
    """It works with 2 classes and with 1,000.

    Suites run from two kinds of tissue to ImageNet.
    """
    on.outcome(World(classes))


@per_parameter
def uses_every_parameter(on: Subject, parameter: str) -> None:
    """Each parameter changes something of what it returns.

    An option that changes nothing gives two rows of a leaderboard that differ by chance alone.
    """
    if reason := why_not_varied(on.technique, parameter):
        raise Skip(f"parameter '{parameter}': {reason}")
    others = [field.name for field in fields(type(on.technique)) if field.name != parameter]
    # A parameter may act only where another one has a certain value.
    contexts = [on.technique, *(one for name in others for one in variations(on.technique, name))]
    tried: list[str] = []
    for context in contexts:
        plain = Subject(context, on.registry).usual
        for other in variations(context, parameter):
            tried.append(msgspec.json.encode(getattr(other, parameter)).decode())
            if difference(plain, on.outcome(technique=other)):
                return
    raise failed(
        f"parameter '{parameter}' changes nothing: {', '.join(dict.fromkeys(tried))} give what "
        f"{getattr(on.technique, parameter)!r} gives",
        "another result", f"use self.{parameter}, or take the parameter away",
    )  # fmt: skip


CHECKS = (
    has_a_name_of_its_own, names_its_source, parameters_are_described, says_what_it_goes_with, is_written_as_text,
    uses_every_parameter, leaves_global_randomness_alone, repeats_itself,
)  # fmt: skip
HANDED = (works_with_any_number_of_classes, leaves_its_inputs_alone)
"""What is demanded of techniques that are handed something; data sets and regimes are not."""
