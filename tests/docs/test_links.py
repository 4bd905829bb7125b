"""Links work where a page is read as it is, on a code host; the build of the site sees to the rest."""

from __future__ import annotations

import re
import subprocess

import click
import pytest
from pages import PAGES, ROOT, anchors, prose

from ltbench import errors
from ltbench.cli import group


def test_links_of_all_other_pages_lead_to_files() -> None:
    """Leaderboards, examples and what is at the root."""
    if not (ROOT / ".git").exists():
        pytest.skip("the pages are those that git knows, and this is no repository")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    pages = [ROOT / name for name in listed.split("\0") if name and name not in PAGES and (ROOT / name).is_file()]
    assert len(pages) > 10
    for page in pages:
        text = re.sub(
            r"^( *)(```+)\S*\n.*?^\1\2$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
        )
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            assert re.match(r"[a-z]+:", target) or file.exists(), f"{page}: {target}"
            assert not anchor or file.suffix != ".md" or anchor in anchors(file.read_text(encoding="utf-8")), (
                f"{page}: {target}"
            )


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = prose(page)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (PAGES[page].parent / path).resolve() if path else PAGES[page]
        assert file.is_file(), f"{page}: {target}"
        assert ROOT in file.parents, f"{page}: {target}"
        assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), f"{page}: {target}"


def test_every_page_is_reached_from_the_front_page() -> None:
    reached, ahead = set(), ["docs/index.md"]
    while ahead:
        page = ahead.pop()
        if page in PAGES and page not in reached:
            reached.add(page)
            links = re.findall(r"\]\(([^)\s#]+\.md)", prose(page))
            ahead += [str((PAGES[page].parent / link).resolve().relative_to(ROOT)) for link in links if ":" not in link]
    assert set(PAGES) - {"README.md"} <= reached


def test_the_glossary_is_sorted() -> None:
    terms = re.findall(r"^## (.+)$", PAGES["docs/glossary.md"].read_text(), re.MULTILINE)
    assert len(terms) > 30
    assert terms == sorted(terms, key=str.lower)


def test_the_exit_codes_are_those_of_the_errors() -> None:
    listed = re.findall(r"^\| (\d) \|", PAGES["docs/reference/errors.md"].read_text(), re.MULTILINE)
    codes = {value for name, value in vars(errors).items() if name.isupper() and isinstance(value, int)}
    assert {int(code) for code in listed} == codes


def test_the_catalogue_is_what_the_plugins_say() -> None:
    from support import ltbench

    done = ltbench("list", "--no-plugins", "--check", "docs/techniques.md", cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_no_page_names_a_place_on_a_machine() -> None:
    for page, path in PAGES.items():
        assert not re.findall(r"(?<![\w.~])/(?:home|root|work|tmp/\S+/|Users)/\S*", path.read_text()), page


def test_the_build_is_left_out_of_version_control() -> None:
    assert subprocess.run(["git", "check-ignore", "-q", "docs/_build/html"], cwd=ROOT, check=False).returncode == 0


def test_a_command_in_a_sentence_is_one_that_there_is() -> None:
    whole = click.Context(group)
    found = 0
    for page in PAGES:
        for words in re.findall(r"`ltbench ([a-z][^`]*)`", prose(page)):
            name, *rest = words.split()
            command = group.get_command(whole, name)
            assert command is not None, f"{page}: ltbench {words}"
            known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
            given = {word.partition("=")[0] for word in rest if word.startswith("-")}
            assert given <= known, f"{page}: ltbench {words}"
            found += 1
    assert found > 50
