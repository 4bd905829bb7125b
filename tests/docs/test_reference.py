"""The reference says what the code says, as markdown that needs no site."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT

import ltbench
from ltbench import errors, hookspecs, stages, testing
from ltbench.cli import COMMANDS
from ltbench.core.generated_files import splice
from ltbench.records import record

SCRIPT = ROOT / "scripts" / "write_reference.py"
PAGES = {page.stem: page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "reference").glob("*.md")}


@pytest.fixture(scope="module")
def script() -> dict[str, object]:
    """What the script defines."""
    names: dict[str, object] = {"__name__": "write_reference", "__doc__": "", "__file__": str(SCRIPT)}
    exec(compile(SCRIPT.read_text(encoding="utf-8"), SCRIPT, "exec"), names)
    return names


def headings() -> list[str]:
    return [name for text in PAGES.values() for name in re.findall(r"^#+ `([\w.]+)`$", text, re.MULTILINE)]


def test_the_pages_are_those_of_the_code() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_page_that_was_changed_is_named(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs" / "reference", tmp_path / "docs" / "reference")
    (tmp_path / "scripts").mkdir()
    copy = shutil.copy(SCRIPT, tmp_path / "scripts")
    page = tmp_path / "docs" / "reference" / "observers.md"
    page.write_text(page.read_text().replace("A run begins.", "A run ends."))

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, copy, *words], capture_output=True, text=True, check=False)

    assert (stale := run("--check")).returncode == errors.OUT_OF_DATE
    assert "docs/reference/observers.md" in stale.stderr
    assert run().returncode == 0
    assert page.read_text() == PAGES["observers"]


def test_the_public_interface_is_in_the_reference() -> None:
    public = {name for home in (stages, testing) for name in home.__all__ if name != "Meta"}  # msgspec's
    public |= {
        name
        for home in (hookspecs, record, errors)
        for name, value in vars(home).items()
        if getattr(value, "__module__", None) == home.__name__ and not name.startswith("_")
    }
    public |= set(ltbench.__all__) - {"__version__", "Meta", "hookimpl"}
    assert len(public) > 60
    assert public - set(headings()) == set()


def test_every_command_is_in_the_reference_with_its_options() -> None:
    text = PAGES["command-line"]
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == list(COMMANDS)
    for option in ("--imbalance-factors NUMBERS", "--markdown", "-p [no:]NAME"):
        assert f"- `{option}`: " in text


def test_every_block_says_something() -> None:
    for name, text in PAGES.items():
        assert "{eval-rst}" not in text
        splice(text, "reference", lambda _: None, name)  # every marker has its counterpart
        for what, block in re.findall(r"<!-- ltbench:reference (\S+) -->\n(.*?)<!-- /", text, re.DOTALL):
            assert len(block.split()) > 3, f"{name}: {what}"


def test_a_field_has_type_default_and_meaning() -> None:
    assert "- `state: State`\n" in PAGES["testing"]
    assert "- `seconds: float | None = None`\n- `message: str = ''`: Why it failed.\n" in PAGES["observers"]
    assert "- `facts: dict[str, Any]`: What `ltbench plan --json` prints.\n" in PAGES["python-api"]


def test_a_method_without_a_docstring_has_that_of_its_base() -> None:
    mix = PAGES["stages"].partition("#### `Mix.unsuited_to`")[2].partition("####")[0]
    assert "Return why it cannot be used with a model" in mix


def test_text_is_kept_from_being_markup(script) -> None:
    assert script["escaped"]("of <name> and `<name>`, **x") == "of \\<name> and `<name>`, \\*\\*x"
    assert script["prose"]("Two lines:\n\n    x = 1\n    y = [\n\n        2]\n\nand 2 < 3") == (
        "Two lines:\n\n```py\nx = 1\ny = [\n\n    2]\n```\n\nand 2 \\< 3"
    )
    assert script["prose"]("A map:\n\n    a.json     what it is\n") == "A map:\n\n```text\na.json     what it is\n```\n"
