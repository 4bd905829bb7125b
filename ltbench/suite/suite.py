"""Suites: TOML files that define a benchmark."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import msgspec
from msgspec import Meta

from ltbench.core.printable import has_controls
from ltbench.errors import LtbenchError, SuiteError, UnknownName, UsageError, did_you_mean
from ltbench.executor import Techniques
from ltbench.longtail import check_imbalance_factor
from ltbench.suite.published import Claim, Combination, Reported, check_figures
from ltbench.suite.recipe import Recipe, decided, decided_kernels, sweep_recipe
from ltbench.suite.tuning import Tuning
from ltbench.technique import allowed

Strategy = Literal["all", "each", "pairs", "cumulative", "leave-one-out", "screen"]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]*\Z", max_length=60)]
Seed = Annotated[int, Meta(ge=0, le=2**32 - 1)]
MOST_SEEDS = 10_000
"""Most pairs of seeds of a combination: planning them takes seconds, and no estimate needs more."""
MOST_BYTES = 10_000_000
"""Largest suite file."""
Written = Annotated[str, Meta(min_length=1, max_length=20_000)]
"""Techniques as on a command line."""
Line = Annotated[str, Meta(max_length=500)]
Prose = Annotated[str, Meta(max_length=20_000)]


class Suite(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A benchmark: data, imbalance factors, techniques, recipe and seeds."""

    schema: Literal[1]
    """Version of this format."""
    name: Name
    """Name of the suite, of its folder of results, and of its file without `.toml`."""
    title: Line
    """Heading of the page."""
    question: Prose
    """The question of the suite, in one or two sentences below the heading."""
    notes: Prose = ""
    """Remarks for the reader of the leaderboard, such as that the trainings are short."""
    datasets: Annotated[tuple[Written, ...], Meta(min_length=1, max_length=1000)]
    """Data sets, as on a command line: `cifar10`, `image_folder[path=photos]`."""
    profiles: Annotated[tuple[Written, ...], Meta(min_length=1, max_length=1000)] = ("exp",)
    """Profiles of class counts: how many images of each class are kept at an imbalance factor."""
    imbalance_factors: Annotated[tuple[float, ...], Meta(min_length=1, max_length=1000)]
    """Ratio of images of the largest and the smallest class; 1 is balanced."""
    models: Annotated[tuple[Written, ...], Meta(min_length=1, max_length=1000)]
    """Models to train, each with every data set."""
    techniques: Annotated[tuple[Written, ...], Meta(max_length=10_000)] = ()
    """Techniques to combine: at most one per stage; a stage without one uses its baseline."""
    combinations: tuple[Annotated[tuple[Written, ...], Meta(min_length=1)], ...] = ()
    """Explicit combinations to run besides the baseline, instead of `techniques` and a strategy."""
    strategy: Strategy = "all"
    """Which combinations of `techniques` to run: all, single ones, pairs, adding one at a time, leaving one out, or a
    screening design, which estimates the effect of every technique from few of all combinations."""
    max_techniques: Annotated[int, Meta(ge=0)] | None = None
    """Maximum number of techniques in a combination; no limit by default."""
    screen_pairs: tuple[tuple[str, str], ...] = ()
    """Pairs of techniques whose interaction a screening design estimates, too."""
    screen_rows: Annotated[int, Meta(ge=2, le=100_000)] | None = None
    """Combinations of a screening design; by default two for each effect that it estimates."""
    seeds: Annotated[tuple[Seed, ...], Meta(min_length=1, max_length=MOST_SEEDS)] = (0,)
    """Training seeds: initial weights, order of images, augmentation."""
    subset_seeds: Annotated[tuple[Seed, ...], Meta(min_length=1, max_length=MOST_SEEDS)] | Literal["seed"] = (0,)
    """Seeds of the long-tailed subset, crossed with `seeds`; "seed" draws a new subset for each training seed."""
    held_out: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    """Share of the training images of each class that is held out of training, such as 0.1, with metrics of its own. A
    data set with a validation split holds that out instead."""
    selection: Literal["last", "best"] = "last"
    """Which state of a training predicts: the last one, or the one after the epoch that is best on the held-out images."""
    recipe: Recipe
    """How networks are trained."""
    sweep: dict[str, tuple[Any, ...]] = {}
    """Fields of the recipe with several values each; every combination runs with every resulting recipe."""
    tune: Tuning | None = None
    """How hyper-parameters are tuned; by default they are not."""
    metric: str = ""
    """Metric by which rows are ranked, such as `macro_f1`, `held_out.macro_f1` for that of held-out images, or
    `expected_cost[costs=cat>dog:5]`; by default top-1 accuracy, or balanced accuracy if the test split is not balanced."""
    executor: str = ""
    """Default executor, such as `dask[cluster=slurm,memory=8GB]`; the command line overrides it."""
    required_plugins: tuple[str, ...] = ()
    """Required distributions with their versions: `ltbench-shapes>=1.2`."""
    reported: tuple[Reported, ...] = ()
    """Published numbers that the leaderboard shows beside the measured ones."""
    claims: tuple[Claim, ...] = ()
    """Conclusions of the report, each of which the leaderboard tests."""
    figures: tuple[str, ...] = ("head_to_tail", "bars", "cost", "effects", "interactions", "critical_difference")
    """Figures of the page, each once; see docs/suites.md."""
    highlight: Combination | None = None
    """The combination that figures compare with the reference; by default the best at each factor."""
    reference: Combination = ()
    """The row to which all others are compared; empty for the baseline."""

    def __post_init__(self) -> None:
        if has_controls(self.title):
            raise SuiteError(f"title of suite '{self.name}' has control characters", fix="write it on one line")
        texts = [*self.datasets, *self.profiles, *self.models, *self.techniques]
        if not all(text.strip() for text in texts):
            raise SuiteError(f"suite '{self.name}' has an empty name among its data sets, profiles, models or techniques",
                             fix="remove it")  # fmt: skip
        for factor in self.imbalance_factors:
            try:
                check_imbalance_factor(factor)
            except UsageError as error:
                raise SuiteError(error.what, where=f"suite '{self.name}'", fix=error.fix) from None
        for field in ("datasets", "profiles", "imbalance_factors", "models", "techniques", "seeds", "subset_seeds"):
            values = getattr(self, field)
            if field == "subset_seeds" and values == "seed":
                continue
            if len(set(values)) != len(values):
                raise SuiteError(f"{field} of suite '{self.name}' has a duplicate", fix="name it once")
        if (pairs := len(self.seeds) * (1 if self.subset_seeds == "seed" else len(self.subset_seeds))) > MOST_SEEDS:
            raise SuiteError(
                f"suite '{self.name}' has {pairs:,} pairs of seeds; at most {MOST_SEEDS:,} are planned",
                fix="fewer seeds or subset_seeds",
            )
        check_figures(self.figures)
        if self.required_plugins:
            from ltbench.registry.requirements import parse_requirement  # slow to import and rarely needed

            for text in self.required_plugins:
                parse_requirement(text)
        if self.combinations:
            named = tuple(dict.fromkeys(text for row in self.combinations for text in row))
            if self.strategy != "all" or not set(self.techniques) <= set(named):
                raise SuiteError(
                    f"suite '{self.name}' lists its combinations, so its techniques and strategy have no effect",
                    fix="remove techniques and strategy, or the combinations",
                )
            msgspec.structs.force_setattr(self, "techniques", named)
        if self.strategy != "screen" and (self.screen_pairs or self.screen_rows is not None):
            raise SuiteError(
                f"suite '{self.name}' has no screening design, so its screen_pairs and screen_rows have no effect",
                fix='strategy = "screen", or remove them',
            )
        if self.selection == "best" and (not self.held_out or any(one.epochs is None for one in self.recipes())):
            raise SuiteError(
                f"selection = 'best' of suite '{self.name}' needs held-out images, and a recipe in epochs",
                fix="held_out = 0.1 and epochs in the recipe, or selection = 'last'",
            )
        if self.tune is not None and self.sweep:
            raise SuiteError(
                f"suite '{self.name}' tunes its recipe, so it cannot sweep it as well",
                fix="the ranges in [tune.recipe], or remove [tune]",
            )
        if self.tune is not None and self.tune.seeds > len(self.seed_pairs()):
            raise SuiteError(
                f"tune.seeds of suite '{self.name}' is {self.tune.seeds}, but it has {len(self.seed_pairs())} seed pairs",
                fix="more seeds, or a smaller number",
            )
        # Report an invalid sweep when the file is read, not during the run.
        self.recipes()

    def recipes(self) -> list[Recipe]:
        """Return the recipes of the suite: one, or those of its sweep."""
        return sweep_recipe(self.recipe, self.sweep)

    def trained_on(self, device: str) -> Self:
        """Return the suite with all decided in its recipes that depends on the device."""
        sweep = dict(self.sweep)
        for field, decide in (("precision", decided), ("kernels", decided_kernels)):
            if field in sweep:
                sweep[field] = tuple(dict.fromkeys(decide(value, device) for value in sweep[field]))
        return msgspec.structs.replace(self, recipe=self.recipe.trained_on(device), sweep=sweep)

    def seed_pairs(self) -> list[tuple[int, int]]:
        """Return the seed pairs (subset seed, training seed) of every combination."""
        if self.subset_seeds == "seed":
            return [(seed, seed) for seed in self.seeds]
        return [(subset, seed) for seed in self.seeds for subset in self.subset_seeds]


def find_suite(name: str | Path, registry: Techniques) -> Suite:
    """Return the suite with this name, or from this file."""
    return read_suite(suite_path(name, registry))


def suite_path(name: str | Path, registry: Techniques) -> Path:
    """Return the file of an installed suite, or the given path; otherwise raise `UnknownName`."""
    path = Path(name)
    if str(name) in registry.suites:
        return registry.suites[str(name)]
    if path.suffix == ".toml" or path.parent != Path():
        return path
    raise UnknownName.of(
        "suite", str(name), registry.suites, where="installed suites; to use a file, give the path of a .toml file"
    )


def read_suite(path: Path) -> Suite:
    """Read a suite file. Raises `SuiteError` naming the file, the key and the allowed values."""
    try:
        raw = tomllib.loads(_content(path).decode("utf-8-sig"))  # editors on Windows may write a byte-order mark
    except RecursionError:
        raise SuiteError(f"suite file {path} is not valid TOML", why="it has too many brackets in each other") from None
    except OSError as error:
        raise SuiteError(f"suite file {path} cannot be read", why=str(error.strerror)) from None
    except UnicodeDecodeError as error:
        raise SuiteError(
            f"suite file {path} is not valid TOML", why=str(error), fix="save it with the encoding UTF-8"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise SuiteError(f"suite file {path} is not valid TOML", why=str(error)) from None
    _check_keys(raw, Suite, str(path), "")
    _check_keys(raw.get("recipe"), Recipe, str(path), "recipe.")
    _check_keys(raw.get("tune"), Tuning, str(path), "tune.")
    for field, kind in (("reported", Reported), ("claims", Claim)):
        entries = raw.get(field)
        for number, entry in enumerate(entries if isinstance(entries, list) else []):
            _check_keys(entry, kind, str(path), f"{field}[{number}].")
    try:
        return msgspec.convert(raw, Suite)
    except LtbenchError as error:
        raise SuiteError(error.what, where=str(path), why=error.why, fix=error.fix) from None
    except msgspec.ValidationError as error:
        fix = _allowed_at(str(error))
        raise SuiteError("a suite does not follow the schema", where=str(path), why=str(error), fix=fix) from None


def _content(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise SuiteError(f"suite file {path} cannot be read", why="it is no regular file")
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise SuiteError(f"suite file {path} cannot be read", why=f"it has more than {MOST_BYTES:,} bytes")
    return content


def _allowed_at(message: str) -> str:
    """Return what is allowed at the place that an error of msgspec names; empty if it is no key."""
    found = re.search(r"`\$\.([\w.]+)", message)
    kind: Any = Suite
    for key in found[1].split(".") if found else ():
        structs = [kind, *get_args(kind)]
        owner = next((one for one in structs if isinstance(one, type) and issubclass(one, msgspec.Struct)), None)
        if owner is None or key not in owner.__struct_fields__:
            return ""
        kind = next(field.type for field in msgspec.structs.fields(owner) if field.name == key)
    return f"{found[1]}: {allowed(kind)}" if found and kind is not Suite else ""


def changed(suite: Suite, **changes: object) -> Suite:
    """Return the suite with fields replaced and validated again."""
    fields = {field: getattr(suite, field) for field in suite.__struct_fields__}
    # Through plain values, because `msgspec.structs.replace` does not validate.
    try:
        return msgspec.convert(msgspec.to_builtins(fields | changes), Suite)
    except msgspec.ValidationError as error:
        raise SuiteError("the change is not valid for the suite", why=str(error)) from None


def _check_keys(raw: object, kind: type[msgspec.Struct], where: str, prefix: str) -> None:
    # msgspec rejects unknown keys, too, but without suggestions. It also rejects values that are not tables.
    known = kind.__struct_fields__
    for key in raw if isinstance(raw, dict) else ():
        if key not in known:
            fix = did_you_mean(key, known, f"known keys: {', '.join(known)}", prefix)
            raise SuiteError(f"unknown key '{prefix}{key}' in a suite", where=where, fix=fix)
