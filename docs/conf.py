"""Configuration of Sphinx.

All pages are markdown that can be read without Sphinx, too. So the order of pages is that of the links in `index.md`, from which the
`toctree` is generated here.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import ltbench

sys.path.insert(0, str(Path(__file__).parent))
from directives import Checks, Commands

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "ltbench"
release = version = ltbench.__version__
html_title = f"ltbench {release}"
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
smartquotes = False  # keep --option as written

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {"footer_icons": [], "top_of_page_buttons": []}

# Links to headings as on a code host: page.md#a-heading.
myst_heading_anchors = 4

# Docstrings write code in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "undoc-members": True, "exclude-members": "stage"}
autodoc_preserve_defaults = True
toc_object_entries_show_parents = "hide"

_LINK = re.compile(r"^- .*?\]\((?!\.\./|https?:)([^)#]+)\.md\)", re.MULTILINE)
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)


_ELSEWHERE = re.compile(r"\]\((\.\./[^)]*)\)")


def _with_files(app: Sphinx, page: str, source: list[str]) -> None:
    """Let links to files outside this folder download the file; a code host shows it."""
    folder = Path(app.srcdir, page).parent

    def link(found: re.Match[str]) -> str:
        leaves = Path(app.srcdir) not in (folder / found[1]).resolve().parents
        return f"](path:{found[1]})" if leaves else found[0]

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


def _with_code(_app: Sphinx, _what: str, _name: str, _of: object, _options: object, lines: list[str]) -> None:
    """Show text that a docstring indents by four spaces as a literal block."""
    for number, line in reversed(list(enumerate(lines))):
        above = lines[max(0, number - 2) : number]
        if line.startswith("    ") and above[1:] == [""] and not above[0].startswith("    "):
            lines[number:number] = ["::", ""]


def setup(app: Sphinx) -> None:
    """Register the directives and the processing of pages."""
    app.connect("source-read", _with_files)
    app.connect("source-read", _with_contents)
    app.connect("autodoc-process-docstring", _with_code)
    app.add_directive("commands", Commands)
    app.add_directive("checks", Checks)
