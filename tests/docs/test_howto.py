"""Every hook has its page, an example and tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import PAGES, ROOT, blocks

from ltbench import hookspecs
from ltbench.stages import STAGES

HOOKS = [name for name in vars(hookspecs) if name.startswith("ltbench_")]
PAGE = {stage.hook: f"docs/stages/{stage.name}.md" for stage in STAGES.values()} | {
    "ltbench_methods": "docs/stages/method.md",
    "ltbench_suites": "docs/stages/suite.md",
    "ltbench_families": "docs/stages/family.md",
    "ltbench_executors": "docs/stages/executor.md",
    "ltbench_observers": "docs/stages/observer.md",
}
TESTS = {
    stage.hook: f"tests/plugins/{hook}" for stage in STAGES.values() for hook in [stage.hook[len("ltbench_") :]]
} | {
    "ltbench_methods": "tests/plugins/methods",
    "ltbench_suites": "tests/suite/test_suite.py",
    "ltbench_families": "tests/plugins/models/test_timm.py",
    "ltbench_executors": "tests/executors",
    "ltbench_observers": "tests/plugins/observers",
}


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_has_a_page_that_the_overview_leads_to(hook: str) -> None:
    page = PAGE[hook]
    overview = PAGES["docs/writing-a-plugin.md"].read_text()
    (row,) = [line for line in overview.splitlines() if f"| `{hook}` |" in line]
    assert f"]({Path(page).relative_to('docs')})" in row
    text = PAGES[page].read_text()
    assert f"| hook | `{hook}`" in text
    assert re.findall(r"^## (.+)$", text, re.MULTILINE)[0] == "Example"
    assert {"What is checked", "Pitfalls"} <= set(re.findall(r"^## (.+)$", text, re.MULTILINE))


@pytest.mark.parametrize("hook", HOOKS)
def test_the_page_of_a_hook_has_an_example_that_is_executed(hook: str) -> None:
    run = [block for block in blocks(PAGE[hook]) if block.reason is None]
    examples = [block for block in run if block.language == "python" and f"@hookimpl\ndef {hook}(" in block.text]
    assert len(examples) == 1
    assert any("ltbench run --plugin-file" in block.text for block in run if block.language == "bash")


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_has_tests(hook: str) -> None:
    path = ROOT / TESTS[hook]
    files = sorted(path.glob("test_*.py")) if path.is_dir() else [path]
    assert any("\ndef test_" in file.read_text() for file in files)


def test_no_page_is_about_a_hook_that_there_is_not() -> None:
    assert {page for page in PAGES if page.startswith("docs/stages/")} == set(PAGE.values())
    assert set(PAGE) == set(HOOKS)
