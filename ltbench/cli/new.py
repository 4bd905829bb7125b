"""`ltbench new STAGE NAME`: create a package for a new technique."""

from __future__ import annotations

import datetime as dt
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ltbench.cli.paths import PathOption
from ltbench.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from ltbench.scaffold.package import Part


@click.command("new")
@click.argument("words", nargs=-1, required=True, metavar="STAGE NAME [STAGE NAME]...")
@click.option("--output", type=PathOption(), metavar="DIR",
              help="Folder of the package; new or empty.  [default: ./ltbench-NAME]")  # fmt: skip
@click.option("--package", "distribution", metavar="NAME",
              help="Name of the published package.  [default: ltbench-NAME]")  # fmt: skip
def command(words: Sequence[str], output: Path | None, distribution: str | None) -> None:
    """Create an installable package with a new technique NAME of STAGE.

    STAGE is a stage of `ltbench list`, method, suite, executor or observer. Several pairs give one package. The package works as
    generated and has a test, a README, a licence and a CI file. FILL IN marks the places to edit.
    """
    from ltbench.registry.registry import Registry
    from ltbench.scaffold.names import check_name, import_name, taken
    from ltbench.scaffold.package import Package, run_command, write

    parts = _parts(words)
    owners = taken(Registry.load())
    for part in parts:
        check_name(part.name, part.kind, owners)
        owners[part.name] = "another part of this command"
    distribution = distribution or f"ltbench-{parts[0].name.replace('_', '-')}"
    git = shutil.which("git")
    answer = subprocess.run([git, "config", "user.name"], capture_output=True, text=True, check=False) if git else None
    author = (answer.stdout.strip() if answer else "") or "FILL IN: YOUR NAME"
    package = Package(
        distribution=distribution, module=import_name(distribution), parts=tuple(parts), author=author,
        year=dt.datetime.now(tz=dt.UTC).year,
    )  # fmt: skip
    files, folder = package.files(), output or Path(distribution)
    write(files, folder)
    click.echo(f"wrote {len(files)} files to {folder}; FILL IN marks the places to edit. Next:", err=True)
    where = str(folder) if folder.is_absolute() else f"./{folder}"
    click.echo(
        f"pip install -e {shlex.quote(f'{where}[test]')}\npytest {shlex.quote(str(folder))}\n{run_command(parts)}"
    )


def _parts(words: Sequence[str]) -> list[Part]:
    from ltbench.scaffold.package import KINDS, Part

    kinds, names = words[::2], words[1::2]
    for kind, name in zip(kinds, [*names, ""], strict=False):
        if kind not in KINDS and name in KINDS:
            raise UsageError(f"'{kind}' is not a stage", why="the stage comes before the name",
                             fix=f"ltbench new {name} {kind}")  # fmt: skip
        if kind not in KINDS:
            raise UnknownName.of("stage", kind, KINDS)
    if len(kinds) > len(names):
        raise UsageError(f"{KINDS[kinds[-1]]} without a name", fix=f"ltbench new {' '.join(words)} my_{kinds[-1]}")
    return [Part(kind, name) for kind, name in zip(kinds, names, strict=True)]
