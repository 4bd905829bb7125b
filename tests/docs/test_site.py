"""The site is built without a warning, and can be read without a network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import PAGES, ROOT

import ltbench
from ltbench import errors, hookspecs, stages, testing
from ltbench.cli import COMMANDS
from ltbench.records import record

pytestmark = pytest.mark.xdist_group("site")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    sphinx = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", str(folder / "doctrees")]
    done = subprocess.run(
        [*sphinx, str(ROOT / "docs"), str(folder / "html")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


def texts(site: Path) -> dict[str, str]:
    return {
        str(path.relative_to(site)): path.read_text(encoding="utf-8", errors="replace")
        for path in sorted(site.rglob("*"))
        if path.suffix in {".html", ".js", ".css", ".txt", ".json", ".svg"}
    }


def test_every_page_is_there(site: Path) -> None:
    pages = {page.removeprefix("docs/").removesuffix(".md") for page in PAGES if page != "README.md"}
    assert {page for page in pages if not (site / f"{page}.html").is_file()} == set()


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for name, text in texts(site).items():
        if name.endswith(".html"):
            loaded = re.findall(r"<(?:script|img|iframe|source)[^>]*?\ssrc=\"([^\"]+)\"", text)
            loaded += re.findall(r"<link(?![^>]*rel=\"(?:search|index|next|prev)\")[^>]*?\shref=\"([^\"]+)\"", text)
            assert [url for url in loaded if re.match(r"(?:[a-z]+:)?//", url)] == [], name
        if name.endswith(".css"):
            assert re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", text) == [], name


def test_no_page_has_a_machine_s_path_or_a_time(site: Path) -> None:
    for name, text in texts(site).items():
        assert str(ROOT) not in text, name
        assert str(Path.home()) not in text, name
        if name.endswith(".html"):
            assert "Last updated" not in text, name
            assert not re.search(r"object at 0x[0-9a-f]+|PosixPath\(", text), name


def test_links_within_the_site_lead_somewhere(site: Path) -> None:
    pages = {name: text for name, text in texts(site).items() if name.endswith(".html")}
    ids = {name: set(re.findall(r"\sid=\"([^\"]+)\"", text)) for name, text in pages.items()}
    for name, text in pages.items():
        for target in re.findall(r"<a [^>]*?href=\"([^\"]+)\"", text):
            path, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:", target) or not target.strip("#"):
                continue
            file = (site / name).parent / path if path else site / name
            assert file.resolve().is_file(), f"{name}: {target}"
            known = ids.get(str(file.resolve().relative_to(site.resolve())))
            assert not anchor or known is None or anchor in known, f"{name}: {target}"


def test_the_public_interface_is_in_the_reference(site: Path) -> None:
    described = set(re.findall(r"id=\"(ltbench\.[\w.]+)\"", "".join(texts(site).values())))
    public = {
        f"{home.__name__}.{name}"
        for home in (stages, testing)
        for name in home.__all__
        if name != "Meta"  # msgspec's
    }
    public |= {
        f"{home.__name__}.{name}"
        for home in (hookspecs, record, errors)
        for name, value in vars(home).items()
        if getattr(value, "__module__", None) == home.__name__ and not name.startswith("_")
    }
    there = {name.rpartition(".")[2] for name in described}
    assert len(public) > 60
    # What a package only passes on is described under its home.
    assert {name for name in public if name.rpartition(".")[2] not in there} == set()
    assert set(ltbench.__all__) - {"__version__", "Meta", "hookimpl"} <= there


def test_every_command_is_in_the_reference_with_its_options(site: Path) -> None:
    text = re.sub(r"</?(?:span|code)[^>]*>", "", (site / "reference" / "command-line.html").read_text())
    for command in COMMANDS:
        assert f'<section id="{command}">' in text
    for option in ("--imbalance-factors NUMBERS", "--markdown", "-p [no:]NAME"):
        assert option in text
