"""Results as HTML for notebooks. Text of records and suites is escaped."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence


def preformatted(text: str) -> str:
    """Return lines as they are."""
    return f"<pre>{html.escape(text)}</pre>"


def rendered(markdown: Sequence[str]) -> str:
    """Return lines of a page, in which all foreign text is escaped, as HTML."""
    from markdown_it import MarkdownIt

    return str(MarkdownIt("commonmark", {"html": True}).enable("table").render("\n".join(markdown)))


def image(svg: str, alt: str) -> str:
    """Return a figure as an image, which cannot run anything."""
    source = base64.b64encode(svg.encode()).decode()
    return f'<p><img src="data:image/svg+xml;base64,{source}" alt="{html.escape(alt)}"></p>'
