"""`ltbench new`: what it writes where, what it says, and what it refuses."""

from __future__ import annotations

import stat
import subprocess
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from support import import_path_env, imported, install, ltbench, main_result

from ltbench.cli import group


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new(*words: str) -> str:
    done = CliRunner().invoke(group, ["new", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    code, _, error = main_result(capsys, "new", *words)
    assert code == 2
    assert not list(Path().glob(".*"))
    return error


def test_a_package_has_what_a_package_needs(here: Path) -> None:
    new("loss", "tail_loss")
    assert sorted(
        str(p.relative_to("ltbench-tail-loss")) for p in Path("ltbench-tail-loss").rglob("*") if p.is_file()
    ) == [
        ".github/workflows/test.yml",
        ".gitignore",
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "src/ltbench_tail_loss/__init__.py",
        "src/ltbench_tail_loss/py.typed",
        "src/ltbench_tail_loss/tail_loss.py",
        "tests/test_tail_loss.py",
    ]
    project = tomllib.loads(Path("ltbench-tail-loss/pyproject.toml").read_text())["project"]
    assert project["name"] == "ltbench-tail-loss"
    assert project["dependencies"] == ["ltbench>=0.1"]
    assert project["entry-points"]["ltbench"] == {"tail_loss": "ltbench_tail_loss.tail_loss"}
    assert "class TailLoss(Loss" in Path("ltbench-tail-loss/src/ltbench_tail_loss/tail_loss.py").read_text()
    assert "test_tail_loss = checks(TailLoss)" in Path("ltbench-tail-loss/tests/test_tail_loss.py").read_text()


def test_it_prints_the_next_three_commands_ready_to_paste(here: Path) -> None:
    assert new("loss", "tail_loss").splitlines() == [
        "pip install -e './ltbench-tail-loss[test]'",
        "pytest ltbench-tail-loss",
        "ltbench run --plugins tail_loss",
    ]
    assert new("view", "my_views", "--output", "a folder/of mine").splitlines()[:2] == [
        "pip install -e './a folder/of mine[test]'",
        "pytest 'a folder/of mine'",
    ]


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("loss new_loss sampler new_sampler", "ltbench run --plugins new_loss,new_sampler"),
        ("dataset new_images", "ltbench run --plugins new_images"),
        (
            "metric new_metric",
            "ltbench run --max-techniques 0 --seeds 3 --name new_metric && ltbench export new_metric | grep new_metric",
        ),
        (
            "loss new_loss metric new_metric",
            "ltbench run --plugins new_loss --name new_metric && ltbench export new_metric | grep new_metric",
        ),
        ("suite new_suite", "ltbench run --suite new_suite"),
        ("suite new_suite loss new_loss", "ltbench run --suite new_suite"),
        ("observer new_observer", "ltbench run --max-techniques 0 --observe new_observer"),
        ("executor new_executor", "ltbench run --max-techniques 0 --executor new_executor"),
    ],
)
def test_the_printed_run_command_suits_the_stage(here: Path, words: str, command: str) -> None:
    assert new(*words.split()).splitlines()[2] == command


def test_several_stages_make_one_package(here: Path) -> None:
    new("loss", "tail_loss", "sampler", "tail_sampler", "--package", "tails")
    points = tomllib.loads(Path("tails/pyproject.toml").read_text())["project"]["entry-points"]["ltbench"]
    assert points == {"tail_loss": "tails.tail_loss", "tail_sampler": "tails.tail_sampler"}
    assert Path("tails/README.md").read_text().startswith("# tails\n\nA loss and a sampler for ltbench")


def test_a_suite_uses_the_new_techniques_of_its_package(here: Path) -> None:
    new("suite", "tails", "loss", "tail_loss", "dataset", "tail_images", "metric", "tail_score", "view", "tail_views")
    suite = tomllib.loads(Path("ltbench-tails/src/ltbench_tails/tails.toml").read_text())
    assert suite["name"] == "tails"
    assert suite["datasets"] == ["tail_images"]
    assert suite["techniques"] == ["tail_loss", "tail_views"]
    assert suite["models"] == ["convnet"]


def test_the_author_is_that_of_git(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "gitconfig").write_text('[user]\nname = A "B" Ünal\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(here / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    asked = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, check=True).stdout.strip()
    new("loss", "tail_loss")
    project = tomllib.loads(Path("ltbench-tail-loss/pyproject.toml").read_text())["project"]
    assert project["authors"] == [{"name": asked}]
    assert f" {asked}\n" in Path("ltbench-tail-loss/LICENSE").read_text()


def test_without_git_the_author_is_to_be_filled_in(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    new("loss", "tail_loss")
    assert "FILL IN: YOUR NAME" in Path("ltbench-tail-loss/LICENSE").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["loss", "MyLoss"], ["a word in lower case", "try: ltbench new loss my_loss"]),
        (["loss", "my-loss"], ["a word in lower case", "try: ltbench new loss my_loss"]),
        (["loss", "_loss_"], ["a word in lower case", "try: ltbench new loss loss"]),
        (["loss", "2loss"], ["it starts with a letter", "try: ltbench new loss my_2loss"]),
        (["loss", "größe"], ["a word in lower case", "try: ltbench new loss groe"]),
        (["loss", "!"], ["a word in lower case", "try: ltbench new loss my_loss"]),
        (["loss", "a" * 61], ["it has 61 characters, and at most 60 are allowed"]),
        (["loss", "lambda"], ["keyword of Python", "try: ltbench new loss lambda_loss"]),
        (["loss", "focal"], ["taken by ltbench", "try: ltbench new loss my_focal"]),
        (["model", "resnet18"], ["taken by ltbench", "try: ltbench new model my_resnet18"]),
        (["suite", "quick"], ["taken by ltbench", "try: ltbench new suite my_quick"]),
        (["executor", "local"], ["taken by ltbench", "try: ltbench new executor my_local"]),
        (["loss", "timm"], ["taken by ltbench", "try: ltbench new loss my_timm"]),
        (["loss", "loss"], ["class Loss would shadow", "try: ltbench new loss my_loss"]),
        (["mix", "mixed"], ["class Mixed would shadow", "try: ltbench new mix my_mixed"]),
        (["loss", "ab", "mix", "ab"], ["taken by another part of this command", "try: ltbench new mix my_ab"]),
        (["los", "my_loss"], ["unknown stage 'los'", "did you mean loss?"]),
        (["my_loss", "loss"], ["the stage comes before the name", "try: ltbench new loss my_loss"]),
        (["loss"], ["a loss without a name", "try: ltbench new loss my_loss"]),
        (["loss", "ab", "sampler"], ["a sampler without a name", "try: ltbench new loss ab sampler my_sampler"]),
        (["loss", "ab", "--package", "My Package"], ["a name has letters in lower case"]),
        (["loss", "ab", "--package", "3d-losses"], ["Python cannot import '3d_losses'"]),
        (["loss", "ab", "--package", "ltbench"], ["a package 'ltbench' is already installed"]),
    ],
)  # fmt: skip
def test_an_invalid_name_is_refused_with_a_reason_and_an_alternative(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: list[str]
) -> None:
    error = refused(capsys, *words)
    assert all(text in error for text in says), error
    assert not list(here.iterdir())


def test_a_word_of_a_template_is_a_valid_name(here: Path) -> None:
    new("mix", "keep")
    assert "class Keep(Mix" in Path("ltbench-keep/src/ltbench_keep/keep.py").read_text()


@pytest.mark.parametrize("taken", ["folder", "file"])
def test_existing_files_are_not_overwritten(here: Path, capsys: pytest.CaptureFixture[str], taken: str) -> None:
    target = here / "ltbench-tail-loss"
    if taken == "folder":
        target.mkdir()
    mine = target / "mine.txt" if taken == "folder" else target
    mine.write_text("mine")
    error = refused(capsys, "loss", "tail_loss")
    assert "already exists" in error
    assert "try: another folder: --output DIR" in error
    assert mine.read_text() == "mine"
    assert list(here.rglob("*.toml")) == []


def test_an_empty_folder_is_filled_and_stays_the_same_folder(here: Path) -> None:
    (here / "empty").mkdir()
    before = (here / "empty").stat().st_ino
    new("loss", "tail_loss", "--output", "empty")
    assert (here / "empty").stat().st_ino == before
    assert (here / "empty" / "pyproject.toml").is_file()
    assert [path.name for path in here.iterdir()] == ["empty"]


def test_a_package_that_cannot_be_written_leaves_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, *args: object, **kwargs: object) -> None:
        if path.name == "README.md":
            raise OSError(28, "No space left on device")
        write(path, *args, **kwargs)

    write = Path.write_text
    monkeypatch.setattr(Path, "write_text", fail)
    error = refused(capsys, "loss", "tail_loss")
    assert "ltbench-tail-loss cannot be written" in error
    assert "why: No space left on device" in error
    assert not list(here.iterdir())


def test_files_may_be_read_by_others(here: Path) -> None:
    new("loss", "tail_loss")
    assert (here / "ltbench-tail-loss").stat().st_mode & stat.S_IROTH


def test_a_name_that_an_installed_third_party_has_is_refused(here: Path) -> None:
    # A plugin that is broken has its name, too.
    site = install(here / "site", "theirs", "2.1", {"their_loss": "1 / 0"})
    done = ltbench("new", "loss", "their_loss", cwd=here, env=import_path_env(site))
    assert done.returncode == 2
    assert "the name is taken by theirs 2.1\n  try: ltbench new loss my_their_loss" in done.stderr


def test_help_needs_no_torch_and_no_numpy() -> None:
    assert "STAGE NAME" in new("--help")
    assert imported("new", "--help").isdisjoint({"torch", "numpy", "pandas", "pluggy"})
