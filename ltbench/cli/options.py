"""Options that several commands share: plugins, suite, folders."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
from click.core import ParameterSource

from ltbench.cli.paths import PathOption
from ltbench.cli.units import Size, Span
from ltbench.core.devices import AUTO
from ltbench.core.folders import data_root, store_root
from ltbench.costs import resolved
from ltbench.errors import UsageError

if TYPE_CHECKING:
    from ltbench.records.locations import RecordsLocation
    from ltbench.registry.discovery import PluginSelection
    from ltbench.registry.registry import Registry

F = TypeVar("F", bound=Callable[..., Any])
VARIABLE = "LTBENCH_PLUGINS"
"""Environment variable with more values of -p, separated by commas."""
STRATEGIES = ("all", "each", "pairs", "cumulative", "leave-one-out", "screen")


def plugin_options(function: F) -> F:
    """Add the options that select plugins; the command gets them as `choice`."""

    @functools.wraps(function)
    def command(
        *args: Any, plugin_files: Sequence[str], words: Sequence[str], builtin_only: bool, **kwargs: Any
    ) -> Any:
        choice = selected_plugins(plugin_files, words, builtin_only=builtin_only)
        return function(*args, choice=choice, **kwargs)

    files = click.option(
        "--plugin-file", "plugin_files", multiple=True, metavar="FILE",
        help="Load a plugin from a Python file that is not installed. Repeatable.",
    )  # fmt: skip
    word = click.option(
        "-p", "words", multiple=True, metavar="[no:]NAME",
        help=f"Load a module or file as a plugin, or disable an installed one (no:NAME). Repeatable; ${VARIABLE} "
                     "can list more, separated by commas.",
    )  # fmt: skip
    without = click.option(
        "--no-plugins", "builtin_only", is_flag=True, help="Disable third-party plugins, except those given by -p."
    )
    return files(word(without(cast("F", command))))


def selected_plugins(files: Iterable[str], words: Iterable[str], *, builtin_only: bool = False) -> PluginSelection:
    """Return the plugins that are selected by files and names, and by the environment."""
    from ltbench.registry.discovery import PluginSelection

    from_environment = filter(None, map(str.strip, os.environ.get(VARIABLE, "").split(",")))
    return PluginSelection(files=tuple(files), words=(*from_environment, *words), builtin_only=builtin_only)


def suite_options(function: F) -> F:
    """Add the options that select a suite and override parts of it."""
    return click.option("--suite", "suite_name", default="quick", show_default=True, metavar="NAME|FILE",
                        help="Name of an installed suite, or a TOML file.")(suite_changes(function))  # fmt: skip


def suite_changes(function: F) -> F:
    """Add the options that override parts of a suite."""
    for option in reversed(
        (
            click.option("--plugins", metavar="NAMES",
                         help="Combine these techniques instead of the suite's: a,b[x=1],c[y=1,2]."),
            click.option("--all", "everything", is_flag=True, help="Combine all registered techniques."),
            click.option("--strategy", type=click.Choice(STRATEGIES),
                         help="Combinations to run: all, single techniques, pairs, adding one technique at a time, "
                              "leaving one out, or a screening design."),
            click.option("--max-techniques", type=click.IntRange(min=0), metavar="N",
                         help="Maximum number of techniques in a combination."),
            click.option("--datasets", metavar="NAMES", help="Use these data sets instead of the suite's."),
            click.option("--profiles", metavar="NAMES",
                         help="Use these profiles instead of the suite's.  [default with --datasets and no "
                              "imbalance factor: the data set's own, if any]"),
            click.option("--models", metavar="NAMES", help="Use these models instead of the suite's."),
            click.option("--imbalance-factors", metavar="NUMBERS", help="Use these imbalance factors instead of the suite's: 10,100."),
            click.option("--seeds", metavar="NUMBERS", help="Use these training seeds instead of the suite's: 0,1,2."),
            click.option("--held-out", type=click.FloatRange(0, 1, max_open=True), metavar="SHARE",
                         help="Hold out this share of the training images of each class, such as 0.1, instead of the "
                              "suite's; 0 holds nothing out. A data set's own validation split is held out instead."),
            click.option("--set", "settings", multiple=True, metavar="KEY=VALUE",
                         help="Override a field of the recipe: --set epochs=5. Repeatable."),
            data_root_option,
            store_option,
        )
    ):  # fmt: skip
        function = option(function)
    return function


def device_option(function: F) -> F:
    """Add the option that says what computes."""
    return click.option(
        "--device", default=AUTO, show_default=True, metavar="NAME",
        help="What computes: cpu, cuda (all GPUs), cuda:0,1 (these), or auto: GPUs if torch can use any, else the CPU.",
    )(function)  # fmt: skip


def per_gpu_option(function: F) -> F:
    """Add the option for the number of workers on each GPU, which is refused where it would change nothing."""

    @functools.wraps(function)
    def checked(**given: Any) -> Any:
        context = click.get_current_context()
        if (
            context.get_parameter_source("per_gpu") is ParameterSource.COMMANDLINE
        ):  # a default of the user's file may change nothing
            if given["device"] == "cpu":
                raise UsageError("--per-gpu changes nothing with --device cpu", fix="--workers N")
            if context.get_parameter_source("workers") is ParameterSource.COMMANDLINE:
                raise UsageError(
                    "--per-gpu changes nothing with --workers, which is the number of all", fix="one of them"
                )
        return function(**given)

    return click.option(
        "--per-gpu", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
        help="Worker processes on each GPU.",
    )(cast("F", checked))  # fmt: skip


def worker_options(function: F) -> F:
    """Add the options that say where jobs run, and with which limits."""
    for option in reversed(
        (
            click.option("--executor", "executor_name", metavar="NAME[OPTIONS]",
                         help="Where jobs run: local (worker processes), inline (this process, for debugging), "
                              "dask[scheduler=tcp://host:port] (other machines), or a plugin's.  "
                              "[default: the suite's, else local]"),
            click.option("--workers", type=click.IntRange(min=1), metavar="N",
                         help="Worker processes.  [default: one per core, or --per-gpu on each GPU]"),
            device_option,
            per_gpu_option,
            click.option("--retries", type=click.IntRange(min=0), default=1, show_default=True, metavar="N",
                         help="How often to retry a job whose worker died or exceeded a limit."),
            click.option("--timeout", type=Span(), metavar="TIME", help="Time limit of a job.  [default: no limit]"),
            click.option("--memory", type=Size(), metavar="SIZE",
                         help="Limit of a worker's resident memory: 500MB, 4GB.  [default: no limit]"),
        )
    ):  # fmt: skip
        function = option(function)
    return function


def data_root_option(function: F) -> F:
    """Add the option for the folder of data sets."""
    return click.option(
        "--data-root", type=PathOption(file_okay=False), default=data_root,
        help="Folder of data sets.  [default: $LTBENCH_DATA, else that which `ltbench data` shows]",
    )(function)  # fmt: skip


def store_option(function: F) -> F:
    """Add the option for the folder of the store."""
    return click.option(
        "--store", "store_path", type=PathOption(file_okay=False), default=store_root,
        help="Folder of trained networks, predictions and records.  [default: $LTBENCH_STORE, else that which `ltbench cache` shows]",
    )(function)  # fmt: skip


def metric_option(function: F) -> F:
    """Add the option for the metric that leaderboards rank by."""
    return click.option(
        "--metric", default="", metavar="NAME", callback=lambda _context, _option, name: resolved(name),
        help="Rank by this metric: top1, balanced_accuracy, macro_f1, worst_class, expected_cost[costs=FILE.csv], or any number "
             "that a metric declares.  [default: the suite's, else top1, or balanced_accuracy if the test split is not balanced]",
    )(function)  # fmt: skip


def observe_option(function: F) -> F:
    """Add the option for what watches a run; the command gets texts as `observed`."""
    return click.option(
        "--observe", "observed", multiple=True, metavar="NAME[OPTIONS]",
        help="Have an observer watch the run, such as a tool that shows experiments. Repeatable.",
    )(function)  # fmt: skip


def cell_options(function: F) -> F:
    """Add the options that select a single cell."""
    cell = click.option("--cell", metavar="ID", help="Run only the cell whose id starts with ID.")
    return cell(records_option(function))


def records_option(function: F) -> F:
    """Add the option for the location of a cell's record."""
    return click.option(
        "--records", type=PathOption(), metavar="PATH",
        help="Where to find the record of the cell: a records file, a suite's folder or a store.  "
             "[default: the leaderboards, then the store]",
    )(function)  # fmt: skip


def leaderboards_option(function: F) -> F:
    """Add the option for the folder of leaderboards."""
    return click.option(
        "--leaderboards", "leaderboards", type=PathOption(file_okay=False),
        default=Path("leaderboards"), show_default=True, metavar="DIR", help="Folder of leaderboards.",
    )(function)  # fmt: skip


def leaderboards_words(leaderboards: Path) -> list[str]:
    """Return the option that makes a printed command find the same leaderboards."""
    return [] if leaderboards == Path("leaderboards") else ["--leaderboards", str(leaderboards)]


def places_of(records: Path | None, leaderboards: Path) -> list[RecordsLocation]:
    """Return the locations to search for records of cells."""
    from ltbench.records import locations

    return locations.places(leaderboards, store_root()) if records is None else [locations.location(records)]


def find_page(text: str, leaderboards: Path) -> RecordsLocation:
    """Return the location of a leaderboard's name or of a path; if two have that name, print which one is used."""
    from ltbench.records import locations

    place = locations.find_location(text, leaderboards)
    if len(both := locations.named(text, leaderboards)) > 1:
        local = both[1].relative_to(leaderboards).as_posix()
        click.echo(f"'{text}' names the published {both[0]}; use '{local}' for the local one", err=True)
    return place


def find_folder(text: str, leaderboards: Path) -> Path:
    """Return the folder of a leaderboard's name or of a path, as `find_page`. Raises `UsageError` if it has no page."""
    place = find_page(text, leaderboards)
    if place.kind != "suite":
        raise UsageError(
            f"{place.path} is a {place.kind} and has no page", fix="give the name or the folder of a leaderboard"
        )
    return place.path


def load_registry(choice: PluginSelection) -> Registry:
    """Return the registry; print a warning on stderr for each plugin or technique that is disabled."""
    from ltbench.registry.registry import Registry

    registry = Registry.load(choice.origin())
    for broken in registry.broken:
        click.echo(f"warning: {broken} (ltbench doctor)", err=True)
    for name, entries in registry.clashes.items():
        owners = " and ".join(entry.distribution for entry in entries)
        click.echo(f"warning: technique '{name}' is disabled: {owners} both provide it (ltbench doctor)", err=True)
    for loaded in registry.loaded:
        for note in loaded.notes:
            click.echo(f"warning: plugin '{loaded.source.plugin}' of {loaded.source.distribution}: {note}", err=True)
    return registry
