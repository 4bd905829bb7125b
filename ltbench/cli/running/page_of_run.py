"""The page of a run: its name, its texts, and the command that reproduces it.

An unchanged suite has the page of the suite. A run with other techniques, data, models, recipe or seeds has another
page, whose name says what differs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ltbench.cli.asked_suite import every_technique
from ltbench.cli.page_names import checked_name
from ltbench.cli.running.reproduce_command import suite_command
from ltbench.core.checksums import digest
from ltbench.core.plugins import BUILT_IN
from ltbench.core.spec import canonical
from ltbench.costs import is_cost
from ltbench.records.locations import LOCAL
from ltbench.records.page_sources import SUITE_FILE
from ltbench.stages import Profile
from ltbench.technique import written

if TYPE_CHECKING:
    from ltbench.registry.registry import Registry
    from ltbench.suite.suite import Suite

_READABLE = 40
_LISTED = 4


class PageOfRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a run writes to its page besides records; see `SuiteFacts`."""

    folder: Path
    suite: Suite
    """The suite that is run, with title, question, notes and published numbers of the page."""
    command: str
    definition: str
    """Digest of everything that determines the cells."""
    suite_file: bytes | None = None
    """Content of the suite file; None for a built-in suite."""
    plugin_files: tuple[str, ...] = ()
    """Plugin files and modules as given by the user."""
    is_replaced: bool = False
    """Whether records of this machine replace those of another type of machine."""

    @property
    def file(self) -> Path:
        """The page's markdown file."""
        return self.folder / "README.md"


def page_of_run(asked: Suite, file: Path, registry: Registry, leaderboards: Path, name: str | None, suffix: str = "") -> PageOfRun:  # fmt: skip
    """Return the page of a run.

    asked: the suite of `file` with the changes of the command line; name: of the page, if the user has chosen one;
    suffix: of other names.
    Raises `UsageError` for an invalid name.
    """
    from ltbench.suite.suite import read_suite

    base = read_suite(file)
    installed = registry.suites.get(base.name)
    own = base if installed is None else read_suite(installed)
    differs = _differences(_cells(asked, registry), _cells(own, registry))
    profiles = [registry.parse(label, "profile") for label in asked.profiles]
    if all(isinstance(profile, Profile) and profile.keeps_all for profile in profiles):
        differs.pop("imbalance_factors", None)  # without effect: every profile keeps all images
    if asked.metric != own.metric:
        differs |= {"metric": asked.metric}
    if own != base:
        # Claims and texts are part of a page, so an edited copy of an installed suite is another suite.
        differs |= {"file": digest(canonical(_differences(msgspec.to_builtins(base), msgspec.to_builtins(own))))}
    shown = base
    if differs and (asked != base or base.title == own.title):
        shown = _with_texts(asked, base, differs)
    folder = leaderboards / LOCAL / checked_name(_page_name(base.name, differs) + suffix if name is None else name)
    # The suite of a third-party plugin is copied, too, because no record names the plugin of the suite.
    carried = installed is None or own != base or registry.suite_sources[base.name].distribution != BUILT_IN
    return PageOfRun(
        folder=folder,
        suite=shown,
        command=suite_command(asked, base, registry, folder / SUITE_FILE if carried else None),
        definition=definition_of(asked, registry),
        suite_file=file.read_bytes() if carried else None,
    )


def _cells(suite: Suite, registry: Registry) -> dict[str, Any]:
    """Return everything that determines the cells of a suite; equal for equivalent suite texts."""

    def labels(texts: tuple[str, ...]) -> list[str]:
        return [technique.label for text in texts for technique in registry.parse_all(text)]

    techniques: object = labels(suite.techniques)
    if suite.combinations:
        techniques = None
    elif set(labels(suite.techniques)) == set(labels(tuple(every_technique(registry)))):
        # The page of all techniques stays the same when another technique is installed.
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
        "held_out": suite.held_out or None,
        "selection": None if suite.selection == "last" else suite.selection,
        "strategy": suite.strategy,
        "max_techniques": suite.max_techniques,
        "screen_pairs": sorted(sorted(labels(pair)) for pair in suite.screen_pairs),
        "screen_rows": suite.screen_rows,
        **{f"recipe.{field}": value for field, value in msgspec.to_builtins(suite.recipe).items()},
        "sweep": {key: list(values) for key, values in sorted(suite.sweep.items())},
        "tune": None if suite.tune is None else msgspec.to_builtins(suite.tune),
    }


def definition_of(suite: Suite, registry: Registry) -> str:
    """Return a digest of everything that determines the cells; it omits defaults, so new recipe fields do not change it."""
    from ltbench.suite.recipe import Recipe

    usual = {f"recipe.{field.name}": field.default for field in msgspec.structs.fields(Recipe)}
    cells = _cells(suite, registry)
    stated = {key: value for key, value in cells.items() if value not in (None, [], {}) and value != usual.get(key)}
    return digest(canonical(stated), 32)


def _differences(asked: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in asked.items() if value != own[key]}


def _page_name(suite: str, differs: Mapping[str, Any]) -> str:
    """Return the name of a page: the suite's, plus the differences and a digest of them."""
    if not differs:
        return suite
    words = "-".join(short for short, _ in _difference_texts(differs))
    readable = re.sub(r"[^a-z0-9_]+", "-", words.lower().replace(".", "_"))[:_READABLE].strip("-_")
    return "-".join(filter(None, (suite, readable, digest(canonical(differs), 6))))


def _with_texts(asked: Suite, base: Suite, differs: Mapping[str, Any]) -> Suite:
    """Return the suite with title and texts that describe what is run."""
    from ltbench.suite.suite import changed

    same_images = {"datasets", "profiles"}.isdisjoint(differs)
    details = [text for _, text in _difference_texts(differs)]
    title = base.title
    if not same_images or "techniques" in differs:
        title = f"{_techniques(differs.get('techniques', asked.techniques))} on {', '.join(asked.datasets)}"
        details = [text for key, value in differs.items() if key not in {"techniques", "datasets"}
                   for _, text in _difference_texts({key: value})]  # fmt: skip
    title = f"{title} ({', '.join(details)})" if details else title
    if asked == base:
        # An edited copy of an installed suite has its own texts.
        return changed(asked, title=title)
    return changed(
        asked,
        title=title,
        question=f"The suite `{base.name}` with the changes shown in the command.",
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


def _difference_texts(differs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each difference as a short text for the name and a longer one for the title."""
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
            case "held_out":
                yield f"held-out{written(value or 0.0)}", f"held_out {written(value or 0.0)}"
            case "selection":
                yield f"epoch-{value or 'last'}", f"the {value or 'last'} epoch"
            case "strategy":
                yield value, f"strategy {value}"
            case "max_techniques" if value is not None:
                yield f"max{value}", f"at most {value} technique{'s' * (value != 1)}"
            case "sweep" if value:
                yield "sweep", f"a sweep of {', '.join(value)}"
            case "tune":
                yield ("untuned", "without tuning") if value is None else (f"tuned{value['trials']}", "other trials")
            case "metric":
                shown = "expected cost" if is_cost(value) else value or "the default metric"
                yield f"by-{value or 'default'}", f"ranked by {shown}"
            case "file":
                yield "edited", "edited"
            case _ if key.startswith("recipe.") and value is not None:
                field = key.removeprefix("recipe.")
                yield f"{field}{written(value)}", f"{field} {written(value)}"
