"""The README as a package index shows it: without links to files, which an index does not have.

Build hook of hatchling (`[tool.hatch.metadata.hooks.custom]`).
"""

from __future__ import annotations

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

_TO_A_FILE = re.compile(r"\[([^\[\]]+)\]\((?!https?:|#)[^()\s]+\)")
_IMAGE = re.compile(r"^!\[.*\]\((?!https?:).*\)\n+", re.MULTILINE)
_COMMENT = re.compile(r"^<!--.*?-->\n", re.MULTILINE)


def without_files(text: str) -> str:
    """Return markdown in which links to files are their text, and comments and images in files are left out."""
    return _COMMENT.sub("", _TO_A_FILE.sub(r"\1", _IMAGE.sub("", text)))


class ReadmeHook(MetadataHookInterface):
    """Sets the field `readme`."""

    def update(self, metadata: dict[str, object]) -> None:
        """Add the README to the metadata of the package."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": without_files(text)}
