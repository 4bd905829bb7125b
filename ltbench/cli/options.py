"""Options that several commands share: plugins, suite, folders."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from ltbench.core.folders import data_root, store_root
from ltbench.errors import UsageError

if TYPE_CHECKING:
    from ltbench.records.locations import RecordsLocation
    from ltbench.registry.discovery import PluginSelection
    from ltbench.registry.registry import Registry
    from ltbench.suite.suite import Suite

F = TypeVar("F", bound=Callable[..., Any])
VARIABLE = "LTBENCH_PLUGINS"
"""Environment variable with further words for -p, separated by commas."""
STRATEGIES = ("all", "each", "pairs", "cumulative", "leave-one-out")


def plugin_options(function: F) -> F:
    """Add the options that select plugins; the command gets them as `choice`."""

    @functools.wraps(function)
    def command(
        *args: Any, plugin_files: Sequence[str], words: Sequence[str], builtin_only: bool, **kwargs: Any
    ) -> Any:
        from ltbench.registry.discovery import PluginSelection

        from_environment = filter(None, map(str.strip, os.environ.get(VARIABLE, "").split(",")))
        choice = PluginSelection(
            files=tuple(plugin_files), words=(*from_environment, *words), builtin_only=builtin_only
        )
        return function(*args, choice=choice, **kwargs)

    files = click.option(
        "--plugin-file", "plugin_files", multiple=True, metavar="FILE",
        help="Load a plugin from a Python file that is not installed. Repeatable.",
    )  # fmt: skip
    word = click.option(
        "-p", "words", multiple=True, metavar="[no:]NAME",
        help=f"Load a module or file as a plugin, or leave an installed one off (no:NAME). Repeatable; ${VARIABLE} "
             "holds more, separated by commas.",
    )  # fmt: skip
    without = click.option(
        "--no-plugins", "builtin_only", is_flag=True, help="Leave third-party plugins off, except those given by -p."
    )
    return files(word(without(cast("F", command))))


def suite_options(function: F) -> F:
    """Add the options that select a suite and change parts of it."""
    for option in reversed(
        (
            click.option("--suite", "suite_name", default="quick", show_default=True, metavar="NAME|FILE",
                         help="An installed suite or a TOML file."),
            click.option("--plugins", metavar="NAMES",
                         help="Combine these techniques instead of the suite's: a,b[x=1],c[y=1,2]."),
            click.option("--all", "everything", is_flag=True, help="Combine every registered technique."),
            click.option("--strategy", type=click.Choice(STRATEGIES),
                         help="Which combinations: all, one technique at a time, pairs, a growing stack, or the "
                              "full stack without one."),
            click.option("--max-techniques", type=click.IntRange(min=0), metavar="N",
                         help="At most N techniques in a combination."),
            click.option("--datasets", metavar="NAMES", help="Data sets in place of the suite's."),
            click.option("--profiles", metavar="NAMES",
                         help="Profiles in place of the suite's: exp,natural.  [default with --datasets: their own, if "
                              "they have one and no imbalance factor is given]"),
            click.option("--models", metavar="NAMES", help="Models in place of the suite's."),
            click.option("--imbalance-factors", metavar="NUMBERS", help="Imbalance factors in place of the suite's: 10,100."),
            click.option("--seeds", metavar="NUMBERS", help="Training seeds in place of the suite's: 0,1,2."),
            click.option("--set", "settings", multiple=True, metavar="KEY=VALUE",
                         help="Change a field of the recipe, as in --set epochs=5. Repeatable."),
            data_root_option,
            store_option,
        )
    ):  # fmt: skip
        function = option(function)
    return function


def data_root_option(function: F) -> F:
    """Add the option for the folder of data sets."""
    return click.option(
        "--data-root", type=click.Path(path_type=Path, file_okay=False), default=data_root,
        help="Folder of the data sets.  [default: $LTBENCH_DATA or ~/.cache/ltbench/data]",
    )(function)  # fmt: skip


def store_option(function: F) -> F:
    """Add the option for the folder of the store."""
    return click.option(
        "--store", "store_path", type=click.Path(path_type=Path, file_okay=False), default=store_root,
        help="Folder of trained results.  [default: $LTBENCH_STORE or ~/.cache/ltbench/store]",
    )(function)  # fmt: skip


def metric_option(function: F) -> F:
    """Add the option for the metric that leaderboards rank by."""
    return click.option(
        "--metric", default="", metavar="NAME",
        help="Rank by this metric: top1, balanced_accuracy, macro_f1, or any fraction that a metric declares.  [default: "
             "the suite's, else top1, or balanced_accuracy where the test split is not balanced]",
    )(function)  # fmt: skip


def cell_options(function: F) -> F:
    """Add the options that select a single cell."""
    cell = click.option("--cell", metavar="ID", help="Only this cell, given by the first characters of its identity.")
    return cell(records_option(function))


def records_option(function: F) -> F:
    """Add the option that says where to look for the record of a cell."""
    return click.option(
        "--records", type=click.Path(path_type=Path), metavar="PATH",
        help="Where the record of the cell is: a records file, a suite's folder or a store.  "
             "[default: the leaderboards, then the store]",
    )(function)  # fmt: skip


def leaderboards_option(function: F) -> F:
    """Add the option for the folder of leaderboards."""
    return click.option(
        "--leaderboards", "leaderboards", type=click.Path(path_type=Path, file_okay=False),
        default=Path("leaderboards"), show_default=True, metavar="DIR", help="Folder of leaderboards.",
    )(function)  # fmt: skip


def leaderboards_words(leaderboards: Path) -> list[str]:
    """Return the option that a printed command needs to find the same leaderboards."""
    return [] if leaderboards == Path("leaderboards") else ["--leaderboards", str(leaderboards)]


def places_of(records: Path | None, leaderboards: Path) -> list[RecordsLocation]:
    """Return where to look for records of cells."""
    from ltbench.records import locations

    return locations.places(leaderboards, store_root()) if records is None else [locations.location(records)]


def find_page(text: str, leaderboards: Path) -> RecordsLocation:
    """Return the location of a leaderboard's name or of a path; print which one where there are two of that name."""
    from ltbench.records import locations

    place = locations.find_location(text, leaderboards)
    if len(both := locations.named(text, leaderboards)) > 1:
        local = both[1].relative_to(leaderboards).as_posix()
        click.echo(f"'{text}' is the published {both[0]}; '{local}' is the page of runs here", err=True)
    return place


def find_folder(text: str, leaderboards: Path) -> Path:
    """Return the folder of a leaderboard's name or of a path, as `find_page`. Raises `UsageError` for records without one."""
    place = find_page(text, leaderboards)
    if place.kind != "suite":
        raise UsageError(
            f"{place.path} is a {place.kind} and has no page", fix="the name or the folder of a leaderboard"
        )
    return place.path


def load_registry(choice: PluginSelection) -> Registry:
    """Return the registry; print a line on stderr for each plugin or technique that is off."""
    from ltbench.registry.registry import Registry

    registry = Registry.load(choice.origin())
    for broken in registry.broken:
        click.echo(f"warning: {broken} (ltbench doctor)", err=True)
    for name, entries in registry.clashes.items():
        owners = " and ".join(entry.distribution for entry in entries)
        click.echo(f"warning: technique '{name}' is off: {owners} both offer it (ltbench doctor)", err=True)
    for loaded in registry.loaded:
        for note in loaded.notes:
            click.echo(f"warning: plugin '{loaded.source.plugin}' of {loaded.source.distribution}: {note}", err=True)
    return registry


def asked_suite(
    registry: Registry,
    *,
    suite_name: str,
    plugins: str | None,
    everything: bool,
    strategy: str | None,
    max_techniques: int | None,
    datasets: str | None,
    profiles: str | None,
    models: str | None,
    imbalance_factors: str | None,
    seeds: str | None,
    settings: Sequence[str],
    metric: str = "",
) -> Suite:
    """Return the suite with the changes of the command line."""
    from ltbench.suite.suite import changed, find_suite

    suite = find_suite(suite_name, registry)
    if suite.required_plugins:
        from ltbench.registry.requirements import check_required

        check_required(suite.required_plugins, f"suite '{suite.name}'", registry)
    changes: dict[str, object] = {}
    if everything and plugins:
        raise UsageError("--all and --plugins exclude each other", fix="give one of them")
    if everything:
        changes["techniques"] = every_technique(registry)
    if plugins is not None:
        changes |= _fields_of_plugins(registry, plugins)
    if strategy:
        changes["strategy"] = strategy
    if max_techniques is not None:
        changes["max_techniques"] = max_techniques
    if datasets:
        changes["datasets"] = [t.label for t in registry.parse_all(datasets)]
    if profiles:
        changes["profiles"] = [t.label for t in registry.parse_all(profiles)]
    if models:
        changes["models"] = [t.label for t in registry.parse_all(models)]
    factors = _numbers(imbalance_factors, float, "--imbalance-factors") if imbalance_factors else None
    changes |= _counts_of_data(registry, changes, factors)
    if seeds:
        changes["seeds"] = _numbers(seeds, int, "--seeds")
    if settings:
        changes["recipe"] = _recipe(suite, settings)
        fixed = {setting.partition("=")[0] for setting in settings}
        if fixed & {"epochs", "steps"}:
            fixed |= {"epochs", "steps"}
        changes["sweep"] = {field: values for field, values in suite.sweep.items() if field not in fixed}
    if metric:
        changes["metric"] = metric
    if metric or suite.metric:
        _check_metric(metric or suite.metric, registry)
    if suite.combinations and ("techniques" in changes or "strategy" in changes):
        changes["combinations"] = []
    return changed(suite, **changes) if changes else suite


def _check_metric(metric: str, registry: Registry) -> None:
    """Raise `UnknownName` or `UsageError` before anything is trained for a metric that cannot rank."""
    from ltbench.leaderboard.statistics.ranking import ranking_column
    from ltbench.leaderboard.tables.columns import declared_columns

    ranking_column(metric, declared_columns(registry.of("metric")))


def every_technique(registry: Registry) -> list[str]:
    """Return the names of all techniques that a combination can pick."""
    from ltbench.stages import TECHNIQUE_STAGES

    return [name for stage in TECHNIQUE_STAGES for name, kind in registry.of(stage).items() if not kind.baseline]


def _fields_of_plugins(registry: Registry, plugins: str) -> dict[str, object]:
    """Return the suite fields that `--plugins` changes: data sets, profiles and models have fields of their own."""
    from ltbench.stages import STAGES

    changes: dict[str, list[str]] = {"techniques": []}
    for technique in registry.parse_all(plugins):
        role = STAGES[technique.stage].role
        if role == "metric":
            raise UsageError(
                f"'{technique.name}' is a metric: every metric is computed for every cell", fix="leave it out"
            )
        field = "techniques" if role == "technique" else f"{technique.stage}s"
        changes.setdefault(field, []).append(technique.label)
    return {field: list(dict.fromkeys(labels)) for field, labels in changes.items()}


def _counts_of_data(
    registry: Registry, changes: Mapping[str, Any], factors: list[int | float] | None
) -> dict[str, object]:
    """Return the profiles and imbalance factors of a suite with these changes.

    Data sets that are named alone have their own profile, if they have one; with factors that make an imbalance, the
    suite's profiles make it. Where every profile keeps all images, no factor is left but 1.
    """
    from ltbench.stages import Dataset, Profile

    fields: dict[str, object] = {} if factors is None else {"imbalance_factors": factors}
    named = [registry.parse(label, "dataset") for label in changes.get("datasets", ())]
    own = {dataset.profile for dataset in named if isinstance(dataset, Dataset)}
    labels = changes.get("profiles")
    if labels is None and len(own) == 1 and own != {""} and set(factors or [1]) == {1}:
        labels = fields["profiles"] = list(own)
    profiles = [registry.parse(label, "profile") for label in labels or ()]
    if profiles and factors is None and all(isinstance(one, Profile) and one.keeps_all for one in profiles):
        fields["imbalance_factors"] = [1.0]
    return fields


def _numbers(text: str, kind: type[int | float], option: str) -> list[int | float]:
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{option} takes numbers with commas between them, not '{text}'") from None


def _recipe(suite: Suite, settings: Sequence[str]) -> dict[str, object]:
    import tomllib

    import msgspec

    from ltbench.errors import UnknownName
    from ltbench.suite.recipe import Recipe

    recipe: dict[str, object] = {k: v for k, v in msgspec.to_builtins(suite.recipe).items() if v is not None}
    for setting in settings:
        key, sign, value = setting.partition("=")
        if not sign:
            raise UsageError(f"--set takes KEY=VALUE, not '{setting}'", fix="--set epochs=5")
        if key not in Recipe.__struct_fields__:
            raise UnknownName.of("field of the recipe", key, Recipe.__struct_fields__)
        try:
            recipe[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            recipe[key] = value
        if key in {"epochs", "steps"}:
            recipe.pop("steps" if key == "epochs" else "epochs", None)
    return recipe
