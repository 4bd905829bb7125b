"""The suite that a command line selects, with the changes made by its options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ltbench.columns import HELD_OUT
from ltbench.costs import resolved
from ltbench.errors import UsageError

if TYPE_CHECKING:
    from ltbench.registry.registry import Registry
    from ltbench.suite.suite import Suite


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
    held_out: float | None = None,
    metric: str = "",
) -> Suite:
    """Return the selected suite with the changes made by options. Raises `UsageError` for an empty list."""
    from ltbench.suite.suite import changed, find_suite

    _check_given({"data sets": datasets, "profiles": profiles, "models": models, "imbalance factors": imbalance_factors, "seeds": seeds})  # fmt: skip
    suite = find_suite(suite_name, registry)
    if suite.required_plugins:
        from ltbench.registry.requirements import check_required

        check_required(suite.required_plugins, f"suite '{suite.name}'", registry)
    changes: dict[str, object] = {}
    if everything and plugins:
        raise UsageError("--all and --plugins cannot be combined", fix="use one of them")
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
    if held_out is not None:
        changes["held_out"] = held_out
    if settings:
        changes["recipe"] = _recipe(suite, settings)
        fixed = {setting.partition("=")[0] for setting in settings}
        if fixed & {"epochs", "steps"}:
            fixed |= {"epochs", "steps"}
        changes["sweep"] = {field: values for field, values in suite.sweep.items() if field not in fixed}
    if metric:
        changes["metric"] = metric
    if suite.strategy == "screen":
        changes |= _screen_fields(registry, suite, changes)
    if suite.combinations and ("techniques" in changes or "strategy" in changes):
        changes["combinations"] = []
    asked = changed(suite, **changes) if changes else suite
    if asked.metric:
        _check_metric(asked, registry)
    _check_names(asked, registry)
    return asked


def _check_given(lists: Mapping[str, str | None]) -> None:
    """Raise `UsageError` for an empty list, such as that of a variable of a script that is not set. None: not given."""
    for of, text in lists.items():
        if text is not None and not text.strip():
            raise UsageError(f"the list of {of} is empty", fix=f"leave it out for the {of} of the suite")


def _check_names(asked: Suite, registry: Registry) -> None:
    """Raise `UnknownName` or `UsageError` for a name in a suite that is unknown or out of place.

    Published numbers may be of techniques that no plugin has; a claim about such a technique could not be tested.
    """
    from ltbench.errors import LtbenchError, SuiteError
    from ltbench.stages import STAGES

    for technique in (technique for text in asked.techniques for technique in registry.parse_all(text)):
        if STAGES[technique.stage].role != "technique":
            raise UsageError(
                f"'{technique.name}' is a {technique.stage}, which is no part of a combination",
                where=f"techniques of suite '{asked.name}'",
                fix="name it as one of the data sets, profiles or models of the suite, or remove it",
            )
    for claim in asked.claims:
        combinations = (claim.better, () if isinstance(claim.worse, str) else claim.worse)
        for text in (text for combination in combinations for text in combination):
            try:
                registry.parse_all(text)
            except LtbenchError as error:
                raise SuiteError(f"a claim cannot be tested: {error.what}", where=f"claim '{claim.text}' of suite '{asked.name}'",
                                 fix=error.fix or "install its plugin, or remove the claim") from None  # fmt: skip


def _screen_fields(registry: Registry, suite: Suite, changes: Mapping[str, Any]) -> dict[str, object]:
    """Return what remains of a suite's screening design: pairs of techniques that are there, rows for its own techniques."""
    if changes.get("strategy", "screen") != "screen":
        return {"screen_pairs": [], "screen_rows": None}
    if "techniques" not in changes:
        return {}
    labels = {technique.label for text in changes["techniques"] for technique in registry.parse_all(text)}
    kept = [pair for pair in suite.screen_pairs if all(registry.parse(text).label in labels for text in pair)]
    return {"screen_pairs": kept, "screen_rows": None}


def _check_metric(asked: Suite, registry: Registry) -> None:
    """Raise `UnknownName` or `UsageError` for a metric that cannot rank rows, before anything is trained."""
    from ltbench.leaderboard.statistics.ranking import ranking_column
    from ltbench.leaderboard.tables.columns import declared_columns

    if (text := resolved(asked.metric)) != asked.metric:
        # A page has a copy of its suite, which would look for the file beside itself.
        raise UsageError(f"metric '{asked.metric}' of the suite names a file", why="another reader of the page does not have it",
                         fix=f'metric = "{text}"')  # fmt: skip
    ranking_column(asked.metric, declared_columns(registry.of("metric")))
    if asked.metric.startswith(HELD_OUT) and not asked.held_out:
        raise UsageError(
            f"metric '{asked.metric}' needs held-out images", fix="--held-out 0.1, or held_out = 0.1 in the suite"
        )


def every_technique(registry: Registry) -> list[str]:
    """Return the names of all techniques that a combination can contain."""
    from ltbench.stages import TECHNIQUE_STAGES

    return [name for stage in TECHNIQUE_STAGES for name, kind in registry.of(stage).items() if not kind.baseline]


def _fields_of_plugins(registry: Registry, plugins: str) -> dict[str, object]:
    """Return the suite fields that `--plugins` sets: data sets, profiles and models go to their own fields."""
    from ltbench.stages import STAGES

    changes: dict[str, list[str]] = {"techniques": []}
    for technique in registry.parse_all(plugins):
        role = STAGES[technique.stage].role
        if role == "metric":
            raise UsageError(
                f"'{technique.name}' is a metric, and every metric is computed for every cell", fix="leave it out"
            )
        field = "techniques" if role == "technique" else f"{technique.stage}s"
        changes.setdefault(field, []).append(technique.label)
    return {field: list(dict.fromkeys(labels)) for field, labels in changes.items()}


def _counts_of_data(
    registry: Registry, changes: Mapping[str, Any], factors: list[int | float] | None
) -> dict[str, object]:
    """Return the profiles and imbalance factors of a suite with these changes.

    If only data sets are given, each uses its own profile if it has one. With imbalance factors above 1 the
    suite's profiles are used. If every profile keeps all images, the only factor is 1.
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
        raise UsageError(f"{option} takes comma-separated numbers, not '{text}'") from None


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
        except (tomllib.TOMLDecodeError, RecursionError):
            recipe[key] = value
        if key in {"epochs", "steps"}:
            recipe.pop("steps" if key == "epochs" else "epochs", None)
    return recipe
