"""Executors and observers as they are written on a command line: a name, with options in brackets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from ltbench.core.plugins import BUILT_IN, PluginSource
from ltbench.core.process_state import Change, unchanged, written
from ltbench.errors import PluginError, UnknownName, UsageError
from ltbench.registry.notation import parse_selection
from ltbench.technique import Parametrized

Part = TypeVar("Part")
Offer = TypeVar("Offer", bound=Parametrized)


def parsed_offer(
    text: str, kind: str, offers: Mapping[str, tuple[PluginSource, type[Offer]]], check: Callable[[str, str], None]
) -> Offer:
    """Return the offer that a text names, with its options.

    check: raises an error for the name of something that is broken. Raises `UnknownName` for other unknown names.
    """
    choices = parse_selection(text)
    for choice in choices:
        if choice.name not in offers:
            check(choice.name, kind)
            raise UnknownName.of(kind, choice.name, offers)
    found = [(choice.name, params) for choice in choices for params in choice.expanded()]
    fix = "separate the items of a list with +" if len(choices) == 1 else f"write one name; known: {', '.join(offers)}"
    name, params = single(found, text, kind, fix=fix)
    source, offer = offers[name]
    return constructed(offer, params, source)


def constructed(kind: type[Offer], params: Mapping[str, object], source: PluginSource) -> Offer:
    """Return what names and values of parameters stand for.

    Raises `PluginError` if its check of them changes the state of this process, in which jobs may run.
    """
    run = ("__post_init__", "check", "without_effect")
    if source.distribution == BUILT_IN or all(getattr(kind, name) is getattr(Parametrized, name) for name in run):
        return kind.parse(params)

    def blame(changes: list[Change]) -> PluginError:
        return PluginError(
            f"{kind.stage} '{kind.name}' of {source.distribution} {source.version} changes {written(changes)} when its "
            "parameters are checked, which changes the numbers of every technique",
            fix="set and restore it in the method that needs it",
        )

    with unchanged(blame):
        return kind.parse(params)


def single(parts: list[Part], text: str, kind: str, fix: str = "") -> Part:
    """Return the only part of a text. Raises `UsageError` if there are several, or none."""
    if not parts:
        raise UsageError(f"the name of the {kind} is empty", fix="write one, or leave it out")
    if len(parts) != 1:
        raise UsageError(f"'{text}' is {len(parts)} {kind}s; expected one", fix=fix)
    return parts[0]
