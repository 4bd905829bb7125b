"""What `pip install ltbench` installs, without the extra `train`, is enough for everything but training and prediction."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from ltbench.errors import TRAINING

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def distributions(requirements: list[str]) -> dict[str, importlib.metadata.Distribution]:
    """Return what these requirements install, and what that needs in turn."""
    found: dict[str, importlib.metadata.Distribution] = {}
    while requirements:
        wanted = Requirement(requirements.pop())
        if wanted.name in found or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        found[wanted.name] = importlib.metadata.distribution(wanted.name)
        requirements += found[wanted.name].requires or []
    return found


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the dependencies of pyproject.toml, those of no extra, and ltbench."""
    folder = tmp_path_factory.mktemp("light")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for distribution in distributions(list(PROJECT["dependencies"])).values():
        for top in {file.parts[0] for file in distribution.files or () if ".." not in file.parts}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution.locate_file(top))).resolve())
    facts = site / "ltbench-0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: ltbench\nVersion: 0\n", encoding="utf-8")
    points = "".join(f"{name} = {module}\n" for name, module in PROJECT["entry-points"]["ltbench"].items())
    (facts / "entry_points.txt").write_text(f"[ltbench]\n{points}", encoding="utf-8")
    (site / "ltbench.pth").write_text(f"{ROOT}\n{ROOT / 'plugins'}\n", encoding="utf-8")
    return folder / "bin" / "python"


@pytest.fixture
def said(light: Path, trained: Path, tmp_path: Path):
    """Return a function that runs a command beside the records of a run, and returns its exit code and what it says."""
    env = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    env |= {"LTBENCH_STORE": str(trained / "store"), "LTBENCH_DATA": str(tmp_path / "data"), "HOME": str(tmp_path)}

    def run(*args: str) -> tuple[int, str]:
        done = subprocess.run(
            [light, "-m", "ltbench", *args], capture_output=True, text=True, env=env, cwd=trained, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_the_extra_has_what_errors_are_made_for() -> None:
    extra = PROJECT["optional-dependencies"]["train"]
    assert {re.split(r"[<>=]", requirement)[0] for requirement in extra} == set(TRAINING)


def test_it_brings_no_package_that_trains() -> None:
    assert not set(TRAINING) & set(distributions(list(PROJECT["dependencies"])))


@pytest.mark.parametrize(
    "command",
    [
        "plan", "plan --suite tiny.toml --cells", "plan --all", "list", "list model", "show mixup", "show convnet", "status", "cache", "data",
        "plugins", "doctor", "leaderboard tiny", "leaderboard --check --readme none", "compare tiny cb_sampler tta",
        "export tiny", "export tiny --predictions --output copy", "verify leaderboards/tiny", "merge leaderboards/tiny --into merged",
        "new loss my_loss --output made",
    ],
)  # fmt: skip
def test_works_without_torch(command: str, said, tmp_path: Path) -> None:
    code, text = said(
        *(str(tmp_path / word) if word in {"copy", "merged", "made"} else word for word in command.split())
    )
    assert code == 0, text
    assert ("ltbench[train]" in text) == (command == "doctor")


@pytest.mark.parametrize(
    "command",
    [
        "run", "run --executor inline", "search quick", "check focal", "verify leaderboards/tiny --rerun 1", "predict nowhere README",
        "run --cell CELL", "export-model CELL made", "show timm", "plan --models resnet18", "show mixup --figure figure.png",
    ],
)  # fmt: skip
def test_what_needs_torch_says_the_line_that_installs_it(command: str, said, trained: Path, tmp_path: Path) -> None:
    cell = re.search(r'"id":"(\w+)"', (trained / "leaderboards/tiny/records.jsonl").read_text()).group(1)
    words = {
        "CELL": cell,
        "made": str(tmp_path / "made"),
        "figure.png": str(tmp_path / "f.png"),
        "README": str(ROOT / "README.md"),
    }
    code, text = said(*(words.get(word, word) for word in command.split()))
    assert code in {2, 4}, text
    assert "pip install 'ltbench[train]'" in text
    assert "Traceback" not in text


CALLS = """
import sys, ltbench
print(ltbench.plan("tiny.toml"))
print(ltbench.render("tiny"), ltbench.render("tiny")._repr_html_())
print(ltbench.load("tiny"), ltbench.compare("tiny", "cb_sampler", "tta"), ltbench.techniques())
for call in (ltbench.run, lambda: ltbench.long_tailed):
    try:
        call()
    except ltbench.errors.MissingExtra as error:
        print("refused", error.fix)
"""


def test_functions_of_python_work_or_say_what_installs_what_they_need(
    light: Path, trained: Path, tmp_path: Path
) -> None:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {
        "LTBENCH_STORE": str(tmp_path / "store")
    }
    done = subprocess.run([light, "-c", CALLS], capture_output=True, text=True, env=env, cwd=trained, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("refused pip install 'ltbench[train]'") == 2
