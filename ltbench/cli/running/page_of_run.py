"""The page of a run: its name, what it says of itself, and the command that makes it.

A suite that is run as it is has the suite's page. What is run with other techniques, data, models, recipe or seeds has
a page of its own, whose name says what differs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ltbench.cli.asked_suite import every_technique
from ltbench.cli.running.reproduce_command import suite_command
from ltbench.core.checksums import digest
from ltbench.core.plugins import BUILT_IN
from ltbench.core.spec import canonical
from ltbench.errors import UsageError
from ltbench.records.locations import LOCAL
from ltbench.stages import Profile
from ltbench.technique import written

if TYPE_CHECKING:
    from ltbench.registry.registry import Registry
    from ltbench.suite.suite import Suite

SUITE_FILE = "suite.toml"
"""The file of a suite that is not built in, beside the page, so that the command of the page can name it."""
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
"""What can be the name of a page, as it is that of its folder."""
_READABLE = 40
_LISTED = 4


class PageOfRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a run writes on its page besides records; see `SuiteFacts`."""

    folder: Path
    suite: Suite
    """What is run, with title, question, notes and published numbers of the page."""
    command: str
    definition: str
    """Digest of what decides about the cells."""
    suite_file: bytes | None = None
    """The file of the suite unless it is built in."""
    plugin_files: tuple[str, ...] = ()
    """Files of plugins as the user gave them."""
    is_replaced: bool = False
    """Whether records of this machine replace those of another type of machine."""

    @property
    def file(self) -> Path:
        """The page."""
        return self.folder / "README.md"


def page_of_run(asked: Suite, file: Path, registry: Registry, leaderboards: Path, name: str | None) -> PageOfRun:  # fmt: skip
    """Return the page of a run.

    asked: the suite of `file` with the changes of the command line; name: of the page, where the user has chosen one.
    Raises `UsageError` for a name that cannot be that of a folder.
    """
    from ltbench.suite.suite import read_suite

    base = read_suite(file)
    installed = registry.suites.get(base.name)
    own = base if installed is None else read_suite(installed)
    differs = _differences(_cells(asked, registry), _cells(own, registry))
    profiles = [registry.parse(label, "profile") for label in asked.profiles]
    if all(isinstance(profile, Profile) and profile.keeps_all for profile in profiles):
        differs.pop("imbalance_factors", None)  # a factor that no profile knows says nothing
    if asked.metric != own.metric:
        differs |= {"metric": asked.metric}
    if own != base:
        # Claims and texts are part of a page, too: somebody's copy of an installed suite is another suite.
        differs |= {"file": digest(canonical(_differences(msgspec.to_builtins(base), msgspec.to_builtins(own))))}
    shown = base
    if differs and (asked != base or base.title == own.title):
        shown = _described(asked, base, differs)
    folder = leaderboards / LOCAL / _checked(_derived(base.name, differs) if name is None else name)
    # A suite of somebody's plugin has its file beside the page, too: no record says where the suite is from.
    carried = installed is None or own != base or registry.suite_sources[base.name].distribution != BUILT_IN
    return PageOfRun(
        folder=folder,
        suite=shown,
        command=suite_command(asked, base, registry, folder / SUITE_FILE if carried else None),
        definition=definition_of(asked, registry),
        suite_file=file.read_bytes() if carried else None,
    )


def _checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise UsageError(f"'{name}' cannot be the name of a page", why="it is the name of a folder",
                         fix="letters a-z, digits, - and _, at most 100 of them")  # fmt: skip
    if name == LOCAL:
        raise UsageError(f"'{name}' cannot be the name of a page", why="that folder has the local pages",
                         fix="--name OTHER")  # fmt: skip
    return name


def _cells(suite: Suite, registry: Registry) -> dict[str, Any]:
    """Return what decides about the cells of a suite, the same for texts that mean the same."""

    def labels(texts: tuple[str, ...]) -> list[str]:
        return [technique.label for text in texts for technique in registry.parse_all(text)]

    techniques: object = labels(suite.techniques)
    if suite.combinations:
        techniques = None
    elif set(labels(suite.techniques)) == set(labels(tuple(every_technique(registry)))):
        # What is installed may change from day to day; the page of all techniques stays.
        techniques = "all"
    elif suite.strategy != "cumulative":
        techniques = sorted(labels(suite.techniques))
    return {
        "techniques": techniques,
        "combinations": sorted(sorted(labels(row)) for row in suite.combinations),
        "datasets": sorted(labels(suite.datasets)),
        "profiles": sorted(labels(suite.profiles)),
        "models": sorted(labels(suite.models)),
        "imbalance_factors": sorted(map(float, suite.imbalance_factors)),
        "seeds": sorted(suite.seeds),
        "subset_seeds": suite.subset_seeds if suite.subset_seeds == "seed" else sorted(suite.subset_seeds),
        "strategy": suite.strategy,
        "max_techniques": suite.max_techniques,
        **{f"recipe.{field}": value for field, value in msgspec.to_builtins(suite.recipe).items()},
        "sweep": {key: list(values) for key, values in sorted(suite.sweep.items())},
    }


def definition_of(suite: Suite, registry: Registry) -> str:
    """Return a digest of what decides about the cells: without defaults, so that a new field of a recipe changes none."""
    from ltbench.suite.recipe import Recipe

    usual = {f"recipe.{field.name}": field.default for field in msgspec.structs.fields(Recipe)}
    cells = _cells(suite, registry)
    stated = {key: value for key, value in cells.items() if value not in (None, [], {}) and value != usual.get(key)}
    return digest(canonical(stated), 32)


def _differences(asked: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in asked.items() if value != own[key]}


def _derived(suite: str, differs: Mapping[str, Any]) -> str:
    """Return the name of a page: that of the suite, and what differs with a digest of it."""
    if not differs:
        return suite
    words = "-".join(short for short, _ in _said(differs))
    readable = re.sub(r"[^a-z0-9_]+", "-", words.lower().replace(".", "_"))[:_READABLE].strip("-_")
    return "-".join(filter(None, (suite, readable, digest(canonical(differs), 6))))


def _described(asked: Suite, base: Suite, differs: Mapping[str, Any]) -> Suite:
    """Return the suite with title and texts that are true of what is run."""
    from ltbench.suite.suite import changed

    same_images = {"datasets", "profiles"}.isdisjoint(differs)
    details = [text for _, text in _said(differs)]
    title = base.title
    if not same_images or "techniques" in differs:
        title = f"{_techniques(differs.get('techniques', asked.techniques))} on {', '.join(asked.datasets)}"
        details = [text for key, value in differs.items() if key not in {"techniques", "datasets"}
                   for _, text in _said({key: value})]  # fmt: skip
    title = f"{title} ({', '.join(details)})" if details else title
    if asked == base:
        # Somebody's copy of an installed suite has texts of its own.
        return changed(asked, title=title)
    return changed(
        asked,
        title=title,
        question=f"The suite `{base.name}`, changed for this run; the command says how.",
        notes=base.notes if same_images and not any(key.startswith(("recipe", "sweep", "models")) for key in differs) else "",
        reported=asked.reported if same_images else (),
        claims=asked.claims if same_images else (),
    )  # fmt: skip


def _techniques(labels: object) -> str:
    if labels == "all":
        return "Every technique"
    named = list(labels) if isinstance(labels, (list, tuple)) else []
    if not named:
        return "The baseline"
    return ", ".join(named) if len(named) <= _LISTED else f"{len(named)} techniques"


def _said(differs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each difference in a word for a name and in words for a title."""
    for key, value in differs.items():
        many = [written(one) for one in value] if isinstance(value, (list, tuple)) else [written(value)]
        match key:
            case "techniques" if value == "all":
                yield "all", "every technique"
            case "techniques" | "datasets" | "profiles" | "models":
                yield "-".join(many) or "baseline", ", ".join(many) or "the baseline"
            case "combinations" if value:
                yield "combinations", "other combinations"
            case "imbalance_factors":
                yield f"if{'-'.join(many)}", f"imbalance factor{'s' * (len(many) > 1)} {', '.join(many)}"
            case "seeds":
                yield f"seed{'-'.join(many)}", f"seed{'s' * (len(many) > 1)} {', '.join(many)}"
            case "subset_seeds":
                yield f"subset{'-'.join(many)}", f"subset seeds {', '.join(many)}"
            case "strategy":
                yield value, f"strategy {value}"
            case "max_techniques" if value is not None:
                yield f"max{value}", f"at most {value} technique{'s' * (value != 1)}"
            case "sweep" if value:
                yield "sweep", f"a sweep of {', '.join(value)}"
            case "metric":
                yield f"by-{value or 'default'}", f"ranked by {value or 'what fits the data'}"
            case "file":
                yield "edited", "edited"
            case _ if key.startswith("recipe.") and value is not None:
                field = key.removeprefix("recipe.")
                yield f"{field}{written(value)}", f"{field} {written(value)}"
