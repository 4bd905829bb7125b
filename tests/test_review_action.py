"""The action that reviews submissions, and the hooks of pre-commit: their steps, run in a shell as the hosts run them."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

ROOT = Path(__file__).parents[1]
ACTION = ROOT / ".github" / "actions" / "review"
QUICK = ROOT / "leaderboards" / "quick"
REVIEW = runpy.run_path(str(ACTION / "review.py"))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A repository of results with a page and a submission of three of its cells."""
    folder = tmp_path / "results"
    shutil.copytree(QUICK, folder / "leaderboards" / "quick")
    submission = folder / "submissions" / "quick" / "maria"
    submission.mkdir(parents=True)
    lines = (QUICK / "records.jsonl").read_text().splitlines(keepends=True)
    (submission / "records.jsonl").write_text("".join(lines[:3]))
    return folder


def environment(folder: Path, **inputs: str) -> dict[str, str]:
    action = yaml.safe_load((ACTION / "action.yml").read_text())
    given = {name: one["default"] for name, one in action["inputs"].items()} | inputs
    (step,) = [one for one in action["runs"]["steps"] if one.get("id") == "review"]
    values = {name: given[text.split("inputs.")[1].split(" ")[0]] for name, text in step["env"].items()}
    return {
        **os.environ, **values, "GITHUB_ACTION_PATH": str(ACTION), "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip


def step(folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run the step of the action in a repository of results, as the runner of the host calls bash."""
    action = yaml.safe_load((ACTION / "action.yml").read_text())
    (step,) = [one for one in action["runs"]["steps"] if one.get("id") == "review"]
    assert step["shell"] == "bash"
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]], cwd=folder, env=environment(folder, **inputs), capture_output=True,
        text=True, check=False,
    )  # fmt: skip


def review(folder: Path, **inputs: str) -> tuple[int, str]:
    """Review a repository of results; return the exit code and the comment. No line of the log is a command for the host."""
    for name in ("output", "summary"):
        (folder / name).unlink(missing_ok=True)
    done = step(folder, **inputs)
    assert not any(line.startswith("::") for line in done.stdout.splitlines())
    assert (folder / "review.md").is_file(), done.stderr
    comment = (folder / "review.md").read_text()
    assert (folder / "output").read_text() == "comment=review.md\n"
    assert (folder / "summary").read_text() == comment, done.stderr
    return done.returncode, comment


def row(what: str, state: str) -> str:
    return f"| <code>{what.replace(':', '&#58;')}</code> | {state} |"


def submit(results: Path, name: bytes, lines: int = 1) -> Path:
    folder = results / "submissions" / "quick" / os.fsdecode(name)
    folder.mkdir(parents=True)
    first = (QUICK / "records.jsonl").read_text().splitlines(keepends=True)[:lines]
    (folder / "records.jsonl").write_text("".join(first))
    return folder


def test_a_good_submission_passes_with_a_cell_trained_again(results: Path) -> None:
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    code, comment = review(results)
    assert code == 0, comment
    assert row("published pages fit their records", "ok") in comment
    assert row("quick/maria: records are valid, 1 trained again", "ok") in comment
    assert row("quick/maria: can be merged into quick", "ok") in comment
    assert {path: content for path, content in before.items() if path.read_bytes() != content} == {}


def test_a_forged_submission_fails_and_the_comment_says_where(results: Path) -> None:
    path = results / "submissions" / "quick" / "maria" / "records.jsonl"
    forged = msgspec.json.decode(path.read_bytes().splitlines()[0])
    forged["metrics"]["top1"] = 0.999
    path.write_bytes(msgspec.json.encode(forged) + b"\n")
    code, comment = review(results, rerun="0")
    assert code == 1
    assert row("quick/maria: records are valid, 0 trained again", "**exit code 1**") in comment
    assert "digest" in comment


def test_an_outdated_page_fails(results: Path) -> None:
    page = results / "leaderboards" / "quick" / "README.md"
    page.write_text(page.read_text().replace("cb", "my"))
    code, comment = review(results, rerun="0")
    assert code == 1
    assert row("published pages fit their records", "**exit code 5**") in comment


def test_text_of_a_submission_is_only_text_in_the_comment(results: Path) -> None:
    evil = results / "submissions" / "quick" / "x |<script>`@everyone`\n::error::hacked"
    evil.mkdir()
    (evil / "records.jsonl").write_text("```\n</details><img src=x>\n")
    code, comment = review(results, rerun="0")
    assert code == 1
    outside, is_code = [], False
    for line in comment.splitlines():
        if line.startswith("```") and (not is_code or line == is_code):
            is_code = False if is_code else line.removesuffix("text")
        elif not is_code:
            outside.append(line)
    text = "\n".join(outside)
    assert "<script>" not in text
    assert "<img" not in text
    assert "@everyone" not in text


@pytest.mark.slow
def test_names_may_be_anything(results: Path) -> None:
    names = [b"bytes \xff", "\u202edne".encode(), b"--into", b"https://example.org $(id) #1 @all".replace(b"/", b":")]
    for name in names:
        submit(results, name)
    code, comment = review(results, rerun="0")
    assert code == 0, comment
    assert comment.count("<details>") == 1 + 2 * (1 + len(names))
    assert "\u202e" not in comment
    table = comment.partition("<details>")[0]
    assert not re.search(r"https:|#1|@|\$", table.replace("&#", ""))


@pytest.mark.parametrize(
    ("path", "is_right"),
    [
        ("quick/maria/predictions/x.safetensors", True),
        ("quick/maria/more/records.jsonl", True),
        ("README.md", True),
        ("quick/.gitkeep", True),
        ("records.jsonl", False),
        ("quick/records.jsonl", False),
        ("quick/john/record.jsonl", False),
        ("quick/john/more/records.jsonl", False),
    ],
)
def test_a_file_belongs_to_a_submission(results: Path, path: str, is_right: bool) -> None:
    submissions = results / "submissions"
    (submissions / path).parent.mkdir(parents=True, exist_ok=True)
    (submissions / path).write_text("")
    others = [] if is_right else [submissions / path]
    assert REVIEW["found"](submissions) == ([submissions / "quick" / "maria"], others)


@pytest.mark.parametrize("link", ["quick/john/records.jsonl", "quick/john", "quick/maria/predictions"])
def test_a_link_belongs_to_no_submission(results: Path, link: str) -> None:
    submissions = results / "submissions"
    (submissions / link).parent.mkdir(parents=True, exist_ok=True)
    (submissions / link).symlink_to(QUICK / "records.jsonl" if link.endswith("jsonl") else QUICK)
    assert REVIEW["found"](submissions) == ([submissions / "quick" / "maria"], [submissions / link])
    (results / "all").symlink_to(submissions)
    assert REVIEW["found"](results / "all") == ([], [results / "all"])


def test_a_file_that_belongs_to_no_submission_fails(results: Path) -> None:
    shutil.move(
        results / "submissions" / "quick" / "maria" / "records.jsonl", results / "submissions" / "records.jsonl"
    )
    code, comment = review(results, rerun="0")
    assert code == 1
    assert "\nsubmissions/records.jsonl\n" in comment


def test_a_link_to_nothing_in_a_page_does_not_stop_the_review(results: Path) -> None:
    (results / "leaderboards" / "quick" / "figures" / "x.png").symlink_to("nowhere")
    code, comment = review(results, rerun="0")
    assert row("quick/maria: can be merged into quick", "ok") in comment
    assert code == 0


def test_a_submission_to_a_new_page_is_tried(results: Path) -> None:
    shutil.move(submit(results, b"john"), results / "submissions" / "new" / "john")
    (results / "submissions" / "new" / "bad").mkdir()
    (results / "submissions" / "new" / "bad" / "records.jsonl").write_text("{}\n")
    code, comment = review(results, rerun="0")
    assert code == 1
    assert row("new/john: can become the new page new", "ok") in comment
    assert row("new/bad: can become the new page new", "**exit code 2**") in comment


@pytest.mark.parametrize("as_link", [True, False])
def test_the_comment_is_never_what_a_submission_has_in_its_place(results: Path, as_link: bool) -> None:
    (results / "victim").write_text("mine")
    place = results / "review.md"
    place.symlink_to("victim") if as_link else place.write_text("all is well")
    review(results, rerun="0")
    assert (results / "victim").read_text() == "mine"
    place.unlink()
    place.symlink_to("victim") if as_link else place.write_text("all is well")
    done = step(results, rerun="many")
    assert done.returncode == 2
    assert not place.exists()


def test_a_comment_is_never_longer_than_hosts_take() -> None:
    step, comment = REVIEW["Step"], REVIEW["comment"]
    for count in (1, 7, 2_000):
        steps = [
            step("<" * 500, ["ltbench", "<" * 500], int(n == count - 1), "`" * 100_000 + "x" * 100_000)
            for n in range(count)
        ]
        text = comment(steps)
        assert len(text) <= 65_000
        assert "exit code 1" in text.splitlines()[4]
        assert text.count("<details>") == text.count("</details>") >= 1
        assert ("steps are in the log" in text) == (count > 7)


def test_a_repository_without_anything_says_so(tmp_path: Path) -> None:
    code, comment = review(tmp_path)
    assert code == 0
    assert "neither published pages nor submissions" in comment


def hook(name: str) -> dict[str, Any]:
    (found,) = [one for one in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text()) if one["id"] == name]
    return found


def run_hook(name: str, folder: Path, *files: str) -> int:
    import shlex

    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    words = [*shlex.split(hook(name)["entry"]), *(files if hook(name).get("pass_filenames", True) else ())]
    return subprocess.run(words, cwd=folder, env=env, capture_output=True, check=False).returncode


def test_hooks_pass_what_is_right_and_stop_what_is_not(results: Path) -> None:
    good = "submissions/quick/maria/records.jsonl"
    bad = "submissions/quick/bad.jsonl"
    (results / bad).write_text("{}\n")
    assert run_hook("ltbench-leaderboards", results) == 0
    assert run_hook("ltbench-records", results, good, "leaderboards/quick/records.jsonl") == 0
    assert run_hook("ltbench-records", results, good, bad, good) == 1
    (results / "leaderboards" / "quick" / "table.csv").write_text("")
    assert run_hook("ltbench-leaderboards", results) != 0


def test_hooks_are_for_files_that_there_are() -> None:
    assert re.search(hook("ltbench-records")["files"], "submissions/quick/maria/records.jsonl")
    assert re.search(hook("ltbench-records")["files"], "records.jsonl.gz")
    assert not re.search(hook("ltbench-records")["files"], "leaderboards/quick/suite.json")
    assert re.search(hook("ltbench-leaderboards")["files"], "leaderboards/quick/table.csv")


@pytest.mark.slow
def test_pre_commit_installs_the_hooks_and_runs_them(results: Path, tmp_path: Path) -> None:
    pytest.importorskip("pre_commit", reason="pre-commit is not installed (pip install pre-commit)")
    if not (ROOT / ".git").exists():
        pytest.skip("the hooks come from a repository of git, and this is none")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "home")}
        return subprocess.run(words, cwd=results, env=env, capture_output=True, text=True, check=False)

    def hooks() -> subprocess.CompletedProcess[str]:
        assert run("git", "add", "-A").returncode == 0
        return run(sys.executable, "-m", "pre_commit", "try-repo", str(ROOT), "--all-files")

    assert run("git", "init", "-q").returncode == 0
    done = hooks()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Passed") == 2
    (results / "leaderboards" / "quick" / "table.csv").write_text("")
    assert "Failed" in (failed := hooks()).stdout
    assert failed.returncode == 1
