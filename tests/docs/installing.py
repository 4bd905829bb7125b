"""What `pip install` does on a page: what is installed already is only examined, a package of the page's is laid out.

A package that a page wrote is put onto the path as `pip install -e` would, without a network and without touching this environment.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tomllib
from pathlib import Path

from support import install_package


def main(root: Path, words: list[str]) -> None:
    """Do `pip install` of packages of this repository and of the page. `root`: this repository."""
    parser = argparse.ArgumentParser(prog="pip")
    parser.add_argument("command", choices=["install"])
    parser.add_argument("-e", "--editable", action="append", default=[])
    parser.add_argument("requirements", nargs="*")
    asked = parser.parse_args(words)
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    for text in [*asked.editable, *asked.requirements]:
        what, extras = re.fullmatch(r"(.+?)(?:\[(.+)\])?", text).groups()
        folder = Path(what)
        if what in {project["name"], "."}:
            unknown = set(filter(None, (extras or "").split(","))) - set(project["optional-dependencies"])
            assert not unknown, f"{text}: there is no extra {', '.join(sorted(unknown))}"
        else:
            assert (folder / "pyproject.toml").is_file(), f"{text}: neither ltbench nor a package of this page"
            installed = Path(os.environ["PAGE_PATH"])
            installed, source = install_package(folder, installed)
            (installed / f"{folder.name}.editable").write_text(str(source.resolve()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
