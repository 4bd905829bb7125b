"""Every block of the documentation does what the page says."""

from __future__ import annotations

import json
import linecache
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from pages import PAGES, Block, blocks, prose
from shell import BEFORE, RULES, Shell, substituted

from ltbench.cli.user_config import OPTIONS, read_config
from ltbench.core.plugins import PluginOrigin
from ltbench.registry.registry import Registry
from ltbench.suite.suite import read_suite
from ltbench.testing import conformance
from ltbench.testing.checks_methods import method_conformance

# One process forks for all of them.
pytestmark = pytest.mark.xdist_group("docs")

OF_REFERENCE = {"py", "sh"}
"""Signatures and usage, which `scripts/write_reference.py` writes."""
NO_CODE = {"text"}
"""Diagrams and maps."""
SUITE = """
schema = 1
name = "page"
title = "Page"
question = "Is this part of a suite right?"
datasets = ["fashion_mini"]
imbalance_factors = [10]
models = ["convnet"]
"""
RECIPE = "\n[recipe]\nsteps = 1\n"


def file_of(block: Block) -> str | None:
    """Return the name of the file that the line above a block says it is saved as."""
    above = PAGES[block.page].read_text(encoding="utf-8").splitlines()[: block.line - 1]
    last = next((line for line in reversed(above) if line.strip()), "")
    named = re.search(r"`([\w./-]+\.\w+)`:$", last)
    return named[1] if named else None


def run_python(block: Block, folder: Path, names: dict[str, object]) -> None:
    file = file_of(block)
    assert file or "@hookimpl" not in block.text, f"{block.at}: a plugin without 'Save it as `NAME.py`:' above it"
    if file is None:
        # As in a notebook, whose cells are known to inspect.
        linecache.cache[block.at] = (len(block.text), None, block.text.splitlines(keepends=True), block.at)
        exec(compile(block.text, block.at, "exec"), names)
        return
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text)
    if not path.name.startswith("test_"):  # those are run by the page itself
        examine(path)


def examine(plugin: Path) -> None:
    """Load a plugin and try what it offers."""
    registry = Registry.load(PluginOrigin(plugin_files=(str(plugin),)))
    assert not registry.broken
    own = [loaded for loaded in registry.loaded if loaded.source.distribution == f"file:{plugin.stem}"]
    techniques = [technique for loaded in own for technique in loaded.techniques]
    members = [family.technique(min(family.names())) for loaded in own for family in loaded.families]
    techniques += members
    findings = [finding for technique in techniques for finding in conformance(technique, registry)]
    # A member of a family is made by its name in every process, so it is never pickled.
    wrong = [f for f in findings if f.state == "failed" and not (members and f.check == "survives_pickling")]
    assert [str(finding) for finding in wrong] == []
    assert bool(findings) == bool(techniques)
    for method in (method for loaded in own for method in loaded.methods):
        assert [str(one) for one in method_conformance(method.name, registry) if one.state == "failed"] == []
    for loaded in own:
        assert techniques or loaded.methods or loaded.suites or loaded.executors or loaded.observers, (
            "it offers nothing"
        )
        for suite in loaded.suites:
            read_suite(suite)


def run_toml(block: Block, folder: Path) -> None:
    read = tomllib.loads(block.text)
    if file := file_of(block):
        (folder / file).write_text(block.text)
    if "schema" in read:
        (folder / "suite.toml").write_text(block.text)
        read_suite(folder / "suite.toml")
    elif read.keys() <= set(OPTIONS):
        (folder / "config.toml").write_text(block.text)
        assert read_config(folder / "config.toml") == read
    elif not read.keys() & {"project", "rule"}:  # files of other tools
        missing = "".join(line for line in SUITE.splitlines(keepends=True) if line.split(" =")[0] not in read)
        text = missing + block.text + ("" if "recipe" in read else RECIPE)
        (folder / "part.toml").write_text(text)
        read_suite(folder / "part.toml")


SLOW = {
    "README.md", "docs/asking.md", "docs/own-images.md", "docs/python-api.md", "docs/running.md", "docs/searching.md",
    "docs/stages/executor.md", "docs/stages/finetune.md", "docs/tutorial.md", "docs/writing-a-plugin.md",
}  # fmt: skip


@pytest.mark.parametrize("page", [pytest.param(p, marks=pytest.mark.slow) if p in SLOW else p for p in PAGES])
def test_every_block_works(page: str, tmp_path: Path, warm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell(tmp_path, warm)
    monkeypatch.chdir(shell.folder)
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    names = vars(module)
    to_run = [block for block in blocks(page) if block.reason is None]
    if page in BEFORE and to_run:
        shell.run(BEFORE[page])
    for block in to_run:
        try:
            match block.language:
                case "bash":
                    shell.run(block.text)
                case "console":
                    shell.session(block.text)
                case "python":
                    run_python(block, shell.folder, names)
                case "toml":
                    run_toml(block, shell.folder)
                case "yaml":
                    yaml.safe_load(block.text)
                case "json":
                    json.loads(block.text)
                case language:
                    assert language in NO_CODE or (language in OF_REFERENCE and page.startswith("docs/reference/")), (
                        f"what is a block of '{language}'?"
                    )
        except Exception as error:
            raise AssertionError(f"{block.at}: {error}") from error


def commands() -> list[str]:
    """Return the text of every block of commands that is run."""
    return [b.text for page in PAGES for b in blocks(page) if b.language in {"bash", "console"} and b.reason is None]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.said)
def test_every_substitution_is_needed(rule) -> None:
    assert any(re.search(rule.said, text) for text in [*commands(), *BEFORE.values()])


def test_what_a_page_says_of_its_length_comes_after_what_is_put_there() -> None:
    assert substituted("ltbench run --seeds 1").endswith("--seeds 0 --name quick --seeds 1")


def test_what_a_reader_has_done_before_is_needed() -> None:
    assert [page for page in BEFORE if not any(block.language == "bash" for block in blocks(page))] == []


def test_what_is_not_run_says_why() -> None:
    skipped = [block for page in PAGES for block in blocks(page) if block.reason is not None]
    assert [block.at for block in skipped if len(block.reason.split()) < 3] == []
    # Few: whoever adds one looks at this list.
    assert sorted((block.page, block.text.split()[0]) for block in skipped) == [
        ("README.md", "pip"),
        ("README.md", "python3"),
        ("docs/clusters.md", "--executor"),
        ("docs/clusters.md", "dask"),
        ("docs/clusters.md", "export"),
        ("docs/clusters.md", "ltbench"),
        ("docs/clusters.md", "srun"),
        ("docs/large-data.md", "ltbench"),
        ("docs/results-repository.md", "ltbench"),
        ("docs/results-repository.md", "python"),
    ]


def test_a_comment_that_stops_a_block_is_directly_above_it() -> None:
    for page, path in PAGES.items():
        marks = path.read_text(encoding="utf-8").count("<!-- not run")
        assert marks == sum(block.reason is not None for block in blocks(page)), page


def test_an_executor_that_is_not_run_is_read(registry) -> None:
    skipped = "".join(block.text for page in PAGES for block in blocks(page) if block.reason is not None)
    texts = re.findall(r"--executor\s+(?:\\\n\s*)?'([^']+)'", skipped)
    assert len(texts) == 4
    for text in texts:
        assert registry.executor(text).name == "dask"


def test_code_stands_between_fences() -> None:
    """A block that is only indented has no language, so nobody would run it."""
    for page in PAGES:
        assert re.findall(r"\n\n    (?! )(?!\S*[.*-] )[^\n]+", prose(page)) == [], page


def test_a_diagram_is_no_command() -> None:
    for page in PAGES:
        for block in blocks(page):
            assert block.language not in NO_CODE or not re.search(r"^(\$ |ltbench |pip )", block.text, re.MULTILINE), (
                block.at
            )
