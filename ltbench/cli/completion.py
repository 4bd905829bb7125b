"""What a shell completes: names of techniques with their parameters, of suites, pages and cells, by the name of an argument.

The shell runs the command itself to ask, with `_LTBENCH_COMPLETE` set (docs/installation.md).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ltbench.registry.registry import Registry

VARIABLE: Final = "_LTBENCH_COMPLETE"
_ENTRIES = 200
"""Most cells that are offered."""


def is_asked() -> bool:
    """Whether a shell asks for completions."""
    return VARIABLE in os.environ


def add_completion(command: click.Command) -> None:
    """Let the arguments of a command be completed."""
    for parameter in command.params:
        named = (f"{command.name} {parameter.name}", parameter.name or "")
        if (offer := next((_OFFERS[name] for name in named if name in _OFFERS), None)) is not None:
            parameter._custom_shell_complete = _completer(offer)  # noqa: SLF001 - what `shell_complete=` sets


def techniques(registry: Registry, stages: Iterable[str], incomplete: str) -> list[str]:
    """Return what a list of techniques may go on with: names, or parameters of the one whose brackets are open.

    >>> techniques(registry, ["posthoc"], "tta,tau_norm[ta")
    ['tta,tau_norm[tau=']
    """
    cut = _last_comma(incomplete) + 1
    done, word = incomplete[:cut], incomplete[cut:]
    name, bracket, inside = word.partition("[")
    known = {one.name: one for stage in stages for one in registry.of(stage).values()}
    if not bracket:
        return [done + one for one in sorted(known) if one.startswith(word)]
    if name not in known:
        return []
    before, comma, key = inside.rpartition(",")
    given = {part.partition("=")[0] for part in before.split(",")}
    fields = [field for field in known[name].__struct_fields__ if field not in given and field.startswith(key)]
    return [f"{done}{name}[{before}{comma}{field}=" for field in fields]


def _last_comma(text: str) -> int:
    """Return the place of the last comma outside of brackets; -1 without one."""
    depth, found = 0, -1
    for place, character in enumerate(text):
        depth += (character == "[") - (character == "]")
        if character == "," and not depth:
            found = place
    return found


def _completer(offer: Callable[[str, click.Context], Iterable[str]]) -> Callable[..., list[CompletionItem]]:
    def complete(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(one) for one in offer(incomplete, context)]

    return complete


def _of_stages(*stages: str) -> Callable[[str, click.Context], list[str]]:
    def offer(incomplete: str, _context: click.Context) -> list[str]:
        from ltbench.registry.registry import Registry
        from ltbench.stages import STAGES

        return techniques(Registry.load(), stages or STAGES, incomplete)

    return offer


def _suites(incomplete: str, _context: click.Context) -> list[str]:
    from ltbench.registry.registry import Registry

    return [name for name in sorted(Registry.load().suites) if name.startswith(incomplete)]


def _stages(incomplete: str, _context: click.Context) -> list[str]:
    from ltbench.stages import STAGES

    return [name for name in STAGES if name.startswith(incomplete)]


def _observers(incomplete: str, _context: click.Context) -> list[str]:
    from ltbench.registry.registry import Registry

    return sorted(name for name in Registry.load().observers if name.startswith(incomplete))


def _described(incomplete: str, context: click.Context) -> list[str]:
    return [one for offer in (_of_stages(), _suites, _executors) for one in offer(incomplete, context)]


def _compared(incomplete: str, context: click.Context) -> list[str]:
    """Two pages, or a page and two combinations."""
    return [*_pages(incomplete, context), *(_of_stages()(incomplete, context) if context.params.get("what") else ())]


def _pages(incomplete: str, context: click.Context) -> list[str]:
    from ltbench.records.locations import LOCAL

    root = Path(str(context.params.get("leaderboards") or "leaderboards"))
    folders = [path.parent for pattern in ("*/suite.json", f"{LOCAL}/*/suite.json") for path in root.glob(pattern)]
    names = [folder.relative_to(root).as_posix() for folder in folders]
    return sorted(name for name in names if name.startswith(incomplete))


def _cells(incomplete: str, context: click.Context) -> list[str]:
    from ltbench.core.folders import store_root
    from ltbench.store.store import Store

    if len(incomplete) < 2:
        return []
    return Store(Path(str(context.params.get("store_path") or store_root()))).cells(incomplete)[:_ENTRIES]


def _recipe(incomplete: str, _context: click.Context) -> list[str]:
    from ltbench.suite.recipe import Recipe

    return [f"{field}=" for field in Recipe.__struct_fields__ if field.startswith(incomplete)]


def _executors(incomplete: str, _context: click.Context) -> list[str]:
    from ltbench.registry.registry import Registry

    return sorted(name for name in Registry.load().executors if name.startswith(incomplete))


_OFFERS: Final[dict[str, Callable[[str, click.Context], Iterable[str]]]] = {
    "plugins": _of_stages(), "names": _of_stages(), "datasets": _of_stages("dataset"), "models": _of_stages("model"),
    "profiles": _of_stages("profile"), "suite_name": _suites, "suite": _pages, "cell": _cells, "settings": _recipe,
    "executor_name": _executors, "show name": _described, "observed": _observers, "list stage": _stages, "new words": _stages, "data name": _of_stages("dataset"), "publish name": _pages,
    "verify path": _pages, "compare what": _compared,
}  # fmt: skip
"""By the name of a parameter, or of a command and its parameter."""
