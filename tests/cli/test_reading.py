"""The commands that read: what they print for people, and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support import loss_source

from ltbench.cli import group
from ltbench.errors import LtbenchError, UnknownName
from ltbench.planning import space_size


def call(*args: str) -> Result:
    return CliRunner().invoke(group, args, catch_exceptions=True)


def printed(*args: str) -> str:
    result = call(*args)
    assert result.exit_code == 0, result.exception
    return result.stdout


def test_list_has_every_technique_with_stage_plugin_and_version() -> None:
    rows = json.loads(printed("list", "--json"))
    mixup = next(row for row in rows if row["technique"] == "mixup")
    assert (mixup["stage"], mixup["plugin"], mixup["baseline"]) == ("mix", "ltbench", False)
    assert mixup["parameters"]["alpha"] == "0.4"
    text = printed("list")
    assert all(row["technique"] in text for row in rows)


@pytest.mark.parametrize("columns", ["80", "120"])
def test_a_window_shows_a_line_for_each_technique_below_its_stage(
    columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = json.loads(printed("list", "--json"))
    monkeypatch.setenv("COLUMNS", columns)
    result = call("list")
    lines = [line for line in result.stdout.splitlines() if line]
    stages = list(dict.fromkeys(row["stage"] for row in rows))
    assert [line.split(":")[0] for line in lines if not line.startswith(" ")] == stages
    assert [line.split()[0] for line in lines if line.startswith(" ")] == [row["technique"] for row in rows]
    assert "  cross_entropy (baseline)  The negative log-likelihood" in result.stdout
    assert "alpha" not in result.stdout
    assert "ltbench list STAGE" in result.stderr


def test_a_long_description_is_cut_and_a_short_one_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    about = {row["technique"]: row["about"] for row in json.loads(printed("list", "--json"))}
    monkeypatch.setenv("COLUMNS", "80")
    lines = {line.split()[0]: line for line in printed("list").splitlines() if line.startswith(" ")}
    assert max(map(len, lines.values())) <= 80
    assert lines["cb_sampler"].endswith(about["cb_sampler"])
    whole, cut = about["cuda"], lines["cuda"]
    assert cut.endswith(" ...")
    assert whole.startswith(cut.split(maxsplit=1)[1].removesuffix(" ..."))


def test_a_pipe_has_every_column_of_every_technique() -> None:
    head, _, *lines = printed("list").splitlines()
    assert head.split() == ["stage", "technique", "parameters", "plugin", "about"]
    assert any(line.startswith("mix ") and "mixup" in line and "alpha=0.4" in line for line in lines)


def test_list_of_one_stage_has_no_other() -> None:
    assert {row["stage"] for row in json.loads(printed("list", "loss", "--json"))} == {"loss"}
    result = call("list", "los")
    assert isinstance(result.exception, UnknownName)
    assert "loss" in result.exception.fix


def test_show_has_docstring_ranges_defaults_and_source() -> None:
    text = printed("show", "label_smooth")
    assert "Source: Szegedy et al." in text
    assert "float >= 0 and < 1" in text
    facts = json.loads(printed("show", "label_smooth", "--json"))
    assert {p["name"]: p["default"] for p in facts["parameters"]} == {"eps": "0.2", "off": "k_minus_1"}


def test_show_prints_a_suite() -> None:
    assert 'name = "quick"' in printed("show", "quick")
    assert json.loads(printed("show", "quick", "--json"))["imbalance_factors"] == [10, 50, 100]


def test_show_of_nothing_known_names_the_nearest() -> None:
    result = call("show", "mixpu")
    assert isinstance(result.exception, LtbenchError)
    assert result.exception.exit_code == 4
    assert "mixup" in result.exception.fix


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("quikc", "did you mean quick?"),
        ("lcoal", "did you mean local?"),
        ("loss", "ltbench list loss"),
        ("timm/resnet18", "did you mean resnet18?"),
        ("resnet18.a1_in1k", "did you mean resnet18?"),
    ],
)
def test_show_leads_on_from_what_is_no_technique(name: str, fix: str) -> None:
    result = call("show", name)
    assert isinstance(result.exception, LtbenchError)
    assert result.exception.exit_code == 4
    assert fix in result.exception.fix


def test_show_lists_a_family() -> None:
    text = printed("show", "timm")
    assert text.startswith("timm: a family of 1,")
    assert "\nThe models of timm.\n" in text
    assert "resnet18," in text
    facts = json.loads(printed("show", "timm", "--json"))
    assert {"resnet18", "vit_tiny_patch16_224"} < set(facts["names"])
    result = call("plan", "--plugins", "timm")
    assert isinstance(result.exception, LtbenchError)
    assert "is a family of 1," in result.exception.what
    assert "ltbench show timm" in result.exception.fix


def test_a_plugin_file_is_listed(tmp_path: Path) -> None:
    file = tmp_path / "my_loss.py"
    file.write_text(loss_source("my_loss"))
    assert "my_loss" in printed("list", "loss", "--plugin-file", str(file))
    plugins = json.loads(printed("plugins", "--json", "--plugin-file", str(file)))["plugins"]
    assert {"plugin": "my_loss", "distribution": "file:my_loss"}.items() <= plugins[-1].items()


def test_a_disabled_plugin_is_gone() -> None:
    rows = json.loads(printed("list", "mix", "--json", "-p", "no:mixup"))
    assert "mixup" not in {row["technique"] for row in rows}


@pytest.fixture
def planned(tmp_path: Path) -> tuple[str, ...]:
    return ("plan", "--store", str(tmp_path / "store"), "--imbalance-factors", "100", "--seeds", "0")


def test_plan_counts_trainings_and_not_the_pieces_they_share(planned: tuple[str, ...]) -> None:
    asked = (*planned, "--plugins", "ens,drw,decoupling")
    facts = json.loads(printed(*asked, "--json"))
    # Nothing, ens, decoupling, ens with decoupling, ens with drw; both regimes share the beginning of a training.
    assert (facts["cells"], facts["trainings"], facts["trainings_naive"]) == (5, 5, 5)
    assert facts["jobs"]["fit"] > 5
    assert f"trainings   5 in {facts['jobs']['fit']} jobs for 5 cells" in printed(*asked)


def test_plan_says_what_would_run_and_writes_nothing(planned: tuple[str, ...], tmp_path: Path) -> None:
    facts = json.loads(printed(*planned, "--json", "--cells"))
    assert (facts["cells"], facts["jobs"]["fit"], facts["trainings"], facts["trainings_naive"]) == (16, 8, 8, 16)
    assert facts["missing"] == {"features": 0, "fit": 8, "select": 0, "predict": 16, "cell": 16}
    assert len({cell["id"] for cell in facts["list"]}) == 16
    assert "8 for 16 cells" in printed(*planned)
    assert not (tmp_path / "store").exists()


def test_plan_says_once_which_rows_will_have_notes(planned: tuple[str, ...]) -> None:
    asked = ("--plugins", "cb_sampler,balanced_softmax,mixup")
    note = "balanced_softmax with cb_sampler: both correct the class prior, so the head may be pushed below the tail"
    facts = json.loads(printed(*planned, *asked, "--json"))
    assert (facts["notes"], facts["notes_on_rows"]) == ([], [note])
    assert printed(*planned, *asked).count(f"on rows     {note}") == 1


def test_plan_and_run_say_which_techniques_suit_no_model_of_the_suite(planned: tuple[str, ...], tmp_path: Path) -> None:
    note = "left out: adaptformer cannot be used with model"
    assert note in printed(*planned, "--plugins", "adaptformer")
    run = (
        "run",
        *planned[1:],
        "--plugins",
        "adaptformer",
        "--executor",
        "inline",
        "--leaderboards",
        tmp_path / "pages",
    )
    assert call(*run).stderr.count(f"note: {note}") == 1


def test_plan_says_what_is_left_out_and_why(planned: tuple[str, ...]) -> None:
    facts = json.loads(printed(*planned, "--json", "--plugins", "drw,mixup"))
    reasons = {out["combination"]: out["reason"] for out in facts["left_out"]}
    assert set(reasons) == {"drw", "mixup + drw"}
    assert "needs" in reasons["drw"]


def test_plan_and_run_say_once_what_of_a_recipe_cannot_take_effect(planned: tuple[str, ...], tmp_path: Path) -> None:
    asked = ("--plugins", "mixup", "--set", "steps=2", "--set", "ema=0.9", "--set", "warmup=0.0")
    note = "ema = 0.9 is not reached in 2 steps"
    assert [text[:35] for text in json.loads(printed(*planned, *asked, "--json"))["notes"]] == [note]
    assert printed(*planned, *asked).count(f"note        {note}") == 1
    run = ("run", *planned[1:], *asked, "--executor", "inline", "--leaderboards", tmp_path / "pages")
    assert call(*run).stderr.count(f"note: {note}") == 1


def test_plan_of_everything_in_pairs_is_made_in_parts(planned: tuple[str, ...]) -> None:
    facts = json.loads(printed(*planned, "--json", "--all", "--max-techniques", "2"))
    assert facts["cells"] > 300
    assert all(note.startswith("left out: ") for note in facts["notes"]), "those that need held-out images"
    assert facts["jobs"]["cell"] == facts["cells"]


def test_plan_of_everything_counts_and_plans_single_techniques(planned: tuple[str, ...]) -> None:
    facts = json.loads(printed(*planned, "--json", "--all"))
    orders = facts["by_techniques"]
    assert orders[0]["combinations"] == orders[0]["cells"] == 1
    assert facts["combinations"] == facts["cells"] == sum(order["combinations"] for order in orders) > 100_000
    single = facts["up_to_one_technique"]
    assert single["cells"] == 1 + orders[1]["combinations"]
    # No single technique changes what another costs.
    assert orders[0]["passes"] + orders[1]["passes"] == pytest.approx(single["passes_naive"])
    text = printed(*planned, "--all")
    assert f"{facts['combinations']:,} combinations" in text
    assert "drw needs a technique of stage weight: there is nothing to defer without class weights" in text
    with_seeds = json.loads(printed(*planned, "--json", "--all", "--seeds", "0,1"))
    assert (with_seeds["combinations"], with_seeds["cells"]) == (facts["combinations"], 2 * facts["cells"])


def test_plan_lists_cells_as_long_as_that_takes_minutes(
    planned: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(space_size, "PLANNED", 500)  # a list of more cells than it really is takes a minute
        asked = (*planned, "--all", "--max-techniques", "2", "--json")
        assert "up_to_one_technique" in json.loads(printed(*asked))
        listed = json.loads(printed(*asked, "--cells"))
    assert listed["cells"] == len(listed["list"]) > 500
    result = call(*planned, "--all", "--seeds", ",".join(map(str, range(60))), "--cells")
    assert isinstance(result.exception, LtbenchError)
    assert "--cells lists at most 2,000,000 cells" in result.exception.what


def test_plan_of_a_screening_design_says_what_it_estimates(planned: tuple[str, ...]) -> None:
    asked = (*planned, "--strategy", "screen", "--plugins", "cb_sampler,mixup,cutmix,focal,tta,ens,ins,drw")
    facts = json.loads(printed(*asked, "--json"))
    assert facts["cells"] == facts["screen"]["rows"] == 18
    assert [one["techniques"] for one in facts["screen"]["estimates"]][:2] == [["cb_sampler"], ["cutmix"]]
    assert facts["screen"]["not_estimable"] == []
    assert all(one["variance_factor"] < 2 for one in facts["screen"]["estimates"])
    text = printed(*asked)
    assert "18 rows for 8 effects, full rank: every effect can be estimated" in text
    assert "variance of effects, relative to an ideal design with as many rows" in text
    assert f"the interactions of {len(facts['screen']['aliased'])} other pairs" in text
    alone = printed(*planned, "--strategy", "screen", "--plugins", "drw,mixup")
    assert "1 of them can be estimated" in alone
    assert "not estimable: drw" in alone


def test_doctor_finds_what_is_wrong_and_how_to_mend_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTBENCH_STORE", str(tmp_path / "file" / "store"))
    (tmp_path / "file").write_text("in the way")
    result = call("doctor", "--json")
    findings = {f["subject"]: f for f in json.loads(result.stdout)}
    assert findings["torch"]["state"] == "ok"
    assert findings["store"]["state"] == "wrong"
    assert "LTBENCH_STORE" in findings["store"]["fix"]
