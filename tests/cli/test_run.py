from __future__ import annotations

import json
import shlex
from pathlib import Path

import click
import pytest
from support import call, suite_source

from ltbench.cli.asked_suite import asked_suite
from ltbench.cli.running.page_of_run import page_of_run
from ltbench.cli.running.reproduce_command import suite_command
from ltbench.cli.units import Size, Span, Spending
from ltbench.core.atomic_files import check_writable
from ltbench.errors import StoreError
from ltbench.registry.registry import Registry
from ltbench.suite.suite import find_suite, suite_path

ASKED = dict.fromkeys(
    ("plugins", "strategy", "max_techniques", "datasets", "profiles", "models", "imbalance_factors", "seeds"), None
) | {"suite_name": "quick", "everything": False, "settings": (), "metric": ""}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        *[(Span(), text, value) for text, value in [("90s", 90), ("10m", 600), ("1.5h", 5400), ("2d", 172800)]],
        (Size(), "500MB", 500_000_000), (Size(), "4GB", 4_000_000_000), (Size(), "1.5GiB", 1_610_612_736),
        (Size(), "64 kb", 64_000), (Spending(), "10m", {"seconds": 600}), (Spending(), "1cell", {"cells": 1}),
        (Spending(), "200 cells", {"cells": 200}), (Spending(), "20Mpasses", {"passes": 2e7}),
    ],
)  # fmt: skip
def test_spans_of_time_are_read_in_seconds_and_sizes_in_bytes(kind: click.ParamType, text: str, value: float) -> None:
    assert kind.convert(text, None, None) == value


@pytest.mark.parametrize(
    ("kind", "hint", "text"),
    [
        *[
            (Spending(), "is no amount such as 10m, 100cells", text)
            for text in ("10", "soon", "0cells", "1.5cells", "-1passes", "0passes", f"{'9' * 400}cells")
        ],
        *[(Span(), "is not a duration such as 90s, 10m", text) for text in ("10", "m", "-5m", "0s", "10 minutes", "")],
        *[
            (Size(), "is not a size such as 500MB, 4GB", text)
            for text in ("10", "GB", "-5GB", "0GB", "4 gigabytes", "", f"{'9' * 400}GB")
        ],
    ],
)
def test_what_is_no_span_of_time_or_size_is_refused(kind: click.ParamType, hint: str, text: str) -> None:
    with pytest.raises(click.UsageError, match=hint):
        kind.convert(text, None, None)


def test_a_data_set_or_model_among_the_plugins_takes_the_place_of_the_suites(registry: Registry) -> None:
    suite = asked_suite(registry, **ASKED | {"plugins": "mixup,step,cifar10,convnet[width=4]"})
    assert (suite.techniques, suite.datasets, suite.profiles, suite.models) == (
        ("mixup",),
        ("cifar10",),
        ("step",),
        ("convnet[width=4]",),
    )


def test_all_is_every_technique_but_the_baselines(registry: Registry) -> None:
    suite = asked_suite(registry, **ASKED | {"everything": True})
    assert {"cb_sampler", "mixup", "label_smooth", "tta"} <= set(suite.techniques)
    assert {"shuffle", "cross_entropy", "convnet", "calibration"}.isdisjoint(suite.techniques)


def test_a_setting_changes_the_recipe_and_epochs_and_steps_replace_each_other(registry: Registry) -> None:
    suite = asked_suite(registry, **ASKED | {"settings": ("steps=7", "lr=0.5", "schedule=constant")})
    assert (suite.recipe.steps, suite.recipe.epochs, suite.recipe.lr) == (7, None, 0.5)


def command(registry: Registry, suite_name: str = "quick", file: Path | None = None, **options: object) -> str:
    base = find_suite(suite_name, registry)
    return suite_command(asked_suite(registry, **ASKED | {"suite_name": suite_name} | options), base, registry, file)


def test_the_command_of_a_page_says_what_differs_from_the_suite(registry: Registry) -> None:
    assert command(registry) == "ltbench run --suite quick"
    assert command(registry, plugins="cb_sampler,tta,label_smooth,mixup") == "ltbench run --suite quick"
    assert command(registry, plugins="tta,mixup") == "ltbench run --suite quick --plugins mixup,tta"
    assert command(registry, plugins="") == "ltbench run --suite quick --plugins ''"
    assert command(registry, imbalance_factors="10") == "ltbench run --suite quick --imbalance-factors 10"
    assert command(registry, imbalance_factors="10,20", seeds="0,7").endswith("--imbalance-factors 10,20 --seeds 0,7")
    assert command(registry, settings=("steps=5",)).endswith("--set steps=5")
    assert command(registry, everything=True, max_techniques=2) == "ltbench run --suite quick --all --max-techniques 2"
    assert command(registry, file=Path("my suites/a.toml")) == "ltbench run --suite 'my suites/a.toml'"


COMMANDS = (
    {"plugins": "mixup[alpha=0.2,1],focal"}, {"plugins": "tta,exp50,convnet[width=4]"}, {"plugins": "linear"},
    {"strategy": "cumulative", "plugins": "tta,mixup,cb_sampler"}, {"strategy": "pairs"}, {"everything": True},
    {"datasets": "cifar10,fashion_mini"}, {"models": "convnet[width=4],resnet20"}, {"max_techniques": 0},
    {"datasets": "image_folder[path=a b]"}, {"datasets": "image_folder[path=a]", "profiles": "exp"},
    {"datasets": "image_folder[path=a]", "imbalance_factors": "1,2"}, {"plugins": "image_folder[path=a],natural,tta"},
    {"datasets": "image_folder[path=a],cifar10"}, {"datasets": "cifar10", "profiles": "exp,natural"},
    {"profiles": "step"}, {"profiles": "natural"}, {"settings": ("schedule=multistep", "milestones=[0.5, 0.75]", "decay=0.2")},
    {"settings": ("ema=0.9", "nesterov=false")}, {"metric": "macro_f1"}, {"suite_name": "report-wong-fast", "strategy": "all"},
    {"suite_name": "report-wong-fast", "plugins": "mixup"},
    {"profiles": "step", "imbalance_factors": "10,50,100"}, {"profiles": "natural", "imbalance_factors": "10,50,100"},
    {"suite_name": "report-jiang-fast", "settings": ("epochs=1",), "seeds": "5"},
)  # fmt: skip


@pytest.mark.parametrize("options", COMMANDS, ids=str)
def test_the_command_of_a_page_asks_for_what_was_asked(registry: Registry, options: dict[str, object]) -> None:
    """The printed command is read by the command line itself: it makes the same cells under the same name."""
    from ltbench.cli.run import command as run

    once = command(registry, **options)
    with run.make_context("run", shlex.split(once)[2:]) as context:
        read = {name: context.params[name] for name in ASKED}
    assert command(registry, **read) == once
    pages = [
        page_of_run(asked_suite(registry, **ASKED | asked), suite_path(str(asked.get("suite_name", "quick")), registry), registry,
                    Path("leaderboards"), None)
        for asked in (options, read)
    ]  # fmt: skip
    assert pages[0].folder == pages[1].folder
    assert pages[0].definition == pages[1].definition


@pytest.mark.parametrize("place", ["a file", "a file on the way", "a folder that takes no file"])
def test_a_leaderboard_that_cannot_be_written_is_found_before_anything_is_trained(tmp_path: Path, place: str) -> None:
    folder = {
        "a file": tmp_path / "boards",
        "a file on the way": tmp_path / "file" / "boards",
        "a folder that takes no file": Path("/proc/boards"),
    }[place]
    if place == "a folder that takes no file" and not Path("/proc").is_dir():
        pytest.skip("this system has no /proc")
    (tmp_path / "file").touch()
    if place == "a file":
        (folder / "local").mkdir(parents=True)
        (folder / "local" / "tiny").touch()
    source = suite_source("tiny", {"steps": 2, "batch_size": 16, "lr": 0.1, "precision": "fp32"}, seeds=[0])
    (tmp_path / "tiny.toml").write_text(source)
    with pytest.raises(StoreError, match="the leaderboard cannot be written") as refused:
        call("run", "--suite", tmp_path / "tiny.toml", "--executor", "inline", "--store", tmp_path / "store",
             "--leaderboards", folder)  # fmt: skip
    assert "--leaderboards FOLDER" in refused.value.fix
    assert not list((tmp_path / "store").glob("jobs/*/*"))


def test_a_page_that_cannot_be_published_is_found_before_anything_is_trained(tmp_path: Path) -> None:
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "tiny").touch()
    source = suite_source("tiny", {"steps": 2, "batch_size": 16, "lr": 0.1, "precision": "fp32"}, seeds=[0])
    (tmp_path / "tiny.toml").write_text(source)
    with pytest.raises(StoreError, match="the published page cannot be written"):
        call("run", "--suite", tmp_path / "tiny.toml", "--executor", "inline", "--store", tmp_path / "store", "--publish",
             "--leaderboards", tmp_path / "boards")  # fmt: skip
    assert not list((tmp_path / "store").glob("jobs/*/*"))


def test_looking_whether_a_leaderboard_can_be_written_leaves_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "tiny", "the leaderboard", fix="")
    assert list(tmp_path.iterdir()) == []


def test_a_run_in_parts_says_which_combinations_of_how_many_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ltbench.planning.parts.PART_CELLS", 2)
    monkeypatch.setattr("ltbench.planning.parts.plan_parts.__kwdefaults__", {"cells": 2, "left_out": True})
    asked = ("run", "--executor", "inline", "--store", tmp_path / "store", "--leaderboards", tmp_path / "boards",
             "--plugins", "drw,ens,tta", "--imbalance-factors", "100", "--seeds", "0", "--set", "steps=2", "--json")  # fmt: skip
    result = call(*asked)
    # drw needs class weights, so of eight combinations six run, two in each part.
    begun = [line for line in result.stderr.splitlines() if line.startswith("combinations ")]
    assert begun == [f"combinations {parts} of 6" for parts in ("1 to 2", "3 to 4", "5 to 6")]
    assert "not begun" not in result.stderr
    facts = json.loads(result.stdout)
    assert (facts["combinations"], facts["all_combinations"], facts["cells"]) == (6, 6, 6)
    stopped = call(*asked, "--budget", "0.001s")
    assert "4 of 6 combinations were not begun; run the same command to continue" in stopped.stderr
    assert json.loads(stopped.stdout)["combinations"] == 2
