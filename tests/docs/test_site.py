"""The site is built without a warning, and can be read without a network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import PAGES, ROOT

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
    assert not pages & {"search", "genindex", "py-modindex"}, "Sphinx would write a page of its own in its place"


def test_blocks_of_code_can_be_copied(site: Path) -> None:
    assert (site / "_static" / "copybutton.js").is_file()
    assert "copybutton.js" in (site / "installation.html").read_text()


def test_the_gallery_has_the_figures_of_all_pages(site: Path) -> None:
    figures = sorted(path.name for path in (ROOT / "leaderboards").glob("*/figures/*.svg"))
    images = re.findall(r"<img [^>]*src=\"(_images/[^\"]+\.svg)\"", (site / "gallery.html").read_text())
    assert len(images) == len(figures)
    assert all((site / image).is_file() for image in images)


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
