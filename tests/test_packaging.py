"""The wheel has what it needs and says what an index needs; version, citation and tag agree."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
import yaml
from hatchling.builders.wheel import WheelBuilder

import ltbench
from ltbench.cli import main
from ltbench.core.folders import docs_folder, package_root

ROOT = Path(__file__).resolve().parents[1]
PAGE = re.compile(r"\bdocs/[\w/-]+(?:\.md|/)")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"])
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile):
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return HeaderParser().parsestr(wheel.read(name).decode())


def test_the_wheel_has_the_two_packages_and_no_tests(wheel: zipfile.ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert tops == {"ltbench", "ltbench_plugins", f"ltbench-{ltbench.__version__}.dist-info"}
    assert not [
        name
        for name in wheel.namelist()
        if "test_" in Path(name).name and "scaffold" not in name and "metrics" not in name
    ]


def test_the_wheel_has_every_module_and_data_file_of_the_packages(wheel: zipfile.ZipFile) -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git repository")
    listed = subprocess.run(
        ["git", "ls-files", "ltbench", "plugins"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    there = {name.removeprefix("plugins/") for name in listed.stdout.split()}
    licence = "ltbench_plugins/datasets/_fashion_mini/LICENSE"
    assert there - set(wheel.namelist()) == {licence}
    assert any(name.endswith(f"licenses/plugins/{licence}") for name in wheel.namelist())


def test_pages_that_the_code_names_are_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    sources = [
        *(ROOT / "ltbench").rglob("*.py"),
        *(ROOT / "plugins").rglob("*.py"),
        *(ROOT / "plugins").rglob("*.toml"),
    ]
    named = {page for file in sources for page in PAGE.findall(file.read_text(encoding="utf-8"))}
    assert len(named) > 3
    assert {page for page in named if not any(name.startswith(f"ltbench/{page}") for name in wheel.namelist())} == set()


def test_an_installed_package_says_where_its_pages_are(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from ltbench.cli import main; main()", "--help"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    said = "".join(line.strip() for line in done.stdout.partition("Documentation:")[2].splitlines())
    assert said.startswith(f"{tmp_path}/ltbench/docs")
    assert (tmp_path / "ltbench" / "docs" / "techniques.md").is_file()


def test_a_clone_says_where_its_pages_are() -> None:
    assert docs_folder() == package_root().parent / "docs"
    assert (docs_folder() / "index.md").is_file()


def test_no_link_of_the_description_leads_to_a_file(metadata) -> None:
    text = metadata.get_payload()
    assert "## The quick suite" in text
    assert "](docs/" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "![" not in metadata.get_payload()
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert targets
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []
    assert "<!--" not in text


def test_classifiers_name_what_the_checks_run_on(metadata) -> None:
    versions = [text.rpartition(" ")[2] for text in metadata.get_all("Classifier") if re.search(r":: 3\.\d+$", text)]
    assert versions == ["3.11"]
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Author"] == "the ltbench authors"
    assert metadata["Author"] in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == ltbench.__version__
    assert citation["license"] == "MIT"


def test_a_tag_of_a_release_is_its_version() -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git repository")
    done = subprocess.run(
        ["git", "tag", "--points-at", "HEAD", "v*"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    assert done.stdout.split() in ([], [f"v{ltbench.__version__}"])


def test_windows_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SystemExit, match=r"Windows is not supported, because .*\n  try: WSL"):
        main(["list"])
