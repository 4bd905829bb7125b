"""Configuration of Sphinx.

All pages are markdown that can be read without Sphinx, too. So the order of pages is that of the links in `index.md`, from which the
`toctree` is generated here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import ltbench

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "ltbench"
release = version = ltbench.__version__
html_title = f"ltbench {release}"
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False

extensions = ["myst_parser", "sphinx_copybutton"]
exclude_patterns = ["_build"]
smartquotes = False  # keep --option as written

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {"footer_icons": [], "top_of_page_buttons": []}

# Links to headings as on a code host: page.md#a-heading.
myst_heading_anchors = 4

_LINK = re.compile(r"^- .*?\]\((?!\.\./|https?:)([^)#]+)\.md\)", re.MULTILINE)
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)


_ELSEWHERE = re.compile(r"(?P<image>!\[.*?)?\]\((?P<target>\.\./[^)]*)\)")


def _with_files(app: Sphinx, page: str, source: list[str]) -> None:
    """Let links to files outside this folder download the file; a code host shows it. Images are copied anyway."""
    folder = Path(app.srcdir, page).parent

    def link(found: re.Match[str]) -> str:
        leaves = Path(app.srcdir) not in (folder / found["target"]).resolve().parents
        return f"](path:{found['target']})" if leaves and not found["image"] else found[0]

    source[0] = _ELSEWHERE.sub(link, source[0])


def _with_contents(_app: Sphinx, page: str, source: list[str]) -> None:
    """Append a hidden `toctree` for each section of the front page, and for pages with a folder of subpages."""
    if page == "index":
        _, *parts = _SECTION.split(source[0])
        for caption, text in zip(parts[::2], parts[1::2], strict=True):
            source[0] += _toctree(_LINK.findall(text), caption)
    elif page in {"writing-a-plugin", "reference"}:
        folder = {"writing-a-plugin": "stages/", "reference": "reference/"}[page]
        links = re.findall(rf"\]\(({folder}[^)#]+)\.md\)", source[0])
        source[0] += _toctree(list(dict.fromkeys(links)))


def _toctree(pages: list[str], caption: str = "") -> str:
    options = ":hidden:\n" + (f":caption: {caption}\n" if caption else "")
    return "\n```{toctree}\n" + options + "\n" + "\n".join(pages) + "\n```\n" if pages else ""


def setup(app: Sphinx) -> None:
    """Register the processing of pages."""
    app.connect("source-read", _with_files)
    app.connect("source-read", _with_contents)
