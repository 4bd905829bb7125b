"""Generate and write the files of a new package."""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

import msgspec

from ltbench.core import atomic_files
from ltbench.errors import UsageError
from ltbench.scaffold.names import class_name
from ltbench.stages import STAGES

KINDS: Mapping[str, str] = {
    "dataset": "a data set",
    "profile": "an imbalance profile",
    "sampler": "a sampler",
    "augment": "an augmentation",
    "mix": "a mix",
    "model": "a model",
    "finetune": "a way of fine-tuning",
    "head": "a head",
    "branches": "branches of a network",
    "loss": "a loss",
    "weight": "a class weight",
    "auxiliary": "an auxiliary term",
    "update": "an update",
    "regime": "a training regime",
    "view": "a set of test-time views",
    "posthoc": "a posthoc adjustment",
    "ensemble": "an ensemble",
    "metric": "a metric",
    "method": "a method",
    "suite": "a suite",
    "executor": "an executor",
    "observer": "an observer",
}
"""What a package can offer: a technique of every stage, a method, a suite, an executor, an observer."""
NO_COMBINATION = ("metric", "suite", "executor", "observer")
"""Kinds that `--plugins` does not accept."""
_HERE = Path(__file__).parent
_PLACES = {
    "pyproject.toml": "pyproject.toml", "README.md": "README.md", "LICENSE": "LICENSE", "gitignore": ".gitignore",
    "test.yml": ".github/workflows/test.yml",
}  # fmt: skip
"""Destinations of the templates in `around/`."""


class Part(msgspec.Struct, frozen=True):
    """One new technique, suite, executor or observer."""

    kind: str
    name: str


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """A package to be written."""

    distribution: str
    module: str
    """Import name."""
    parts: tuple[Part, ...]
    author: str
    year: int

    def files(self) -> dict[str, str]:
        """Return the text of every file by its path in the package."""
        facts = {
            "distribution": self.distribution,
            "package": self.module,
            "name": self.parts[0].name,
            "author": self.author,
            # A JSON string is also a TOML string.
            "author_quoted": json.dumps(self.author, ensure_ascii=False),
            "year": str(self.year),
            "about": self._about(),
            "entry_points": "\n".join(f'{part.name} = "{self.module}.{part.name}"' for part in self.parts),
            "rows": "\n".join(f"| `{part.name}` | {part.kind} | {_first_line(part)} |" for part in self.parts),
            "run": run_command(self.parts),
            "run_about": self._run_about(),
        }
        files = {
            place: Template(_read(f"around/{name}.txt")).substitute(facts) for name, place in sorted(_PLACES.items())
        }
        files[f"src/{self.module}/__init__.py"] = f'"""{self._about()} for ltbench."""\n'
        files[f"src/{self.module}/py.typed"] = ""
        for part in self.parts:
            for template in sorted((_HERE / "stages").glob(f"*my_{part.kind}.*")):
                path = template.name.replace(f"my_{part.kind}", part.name)
                path = (
                    f"tests/{path.removesuffix('.txt')}.py"
                    if template.suffix == ".txt"
                    else f"src/{self.module}/{path}"
                )
                files[path] = self._renamed(template.read_text(encoding="utf-8"), part)
                if template.suffix == ".toml":
                    files[path] = self._with_own_techniques(files[path])
        return files

    def _with_own_techniques(self, suite: str) -> str:
        """Return a suite with the built-in techniques of the template replaced by those of this package."""
        for field in ("datasets", "profiles", "models", "techniques"):
            own = [part.name for part in self.parts if part.kind in STAGES and _field(part) == field]
            if own:
                suite = re.sub(rf"^{field} = .*$", f"{field} = {json.dumps(own)}", suite, flags=re.MULTILINE)
        return suite

    def _renamed(self, text: str, part: Part) -> str:
        """Return a template of `stages/` with the names of this package."""
        kind = f"my_{part.kind}"
        names = {"my_package": self.module, kind: part.name, class_name(kind): class_name(part.name)}
        if class_name(part.name) != class_name(kind) and class_name(part.name) in _words(text):
            raise UsageError(
                f"a new {part.kind} cannot have the name '{part.name}'",
                why=f"its class {class_name(part.name)} would shadow a class that it uses",
                fix=f"ltbench new {part.kind} my_{part.name}",
            )
        return re.sub("|".join(names), lambda match: names[match.group()], text)

    def _about(self) -> str:
        kinds = list(dict.fromkeys(KINDS[part.kind] for part in self.parts))
        text = " and ".join([", ".join(kinds[:-1]), kinds[-1]] if len(kinds) > 1 else kinds)
        return text[0].upper() + text[1:]

    def _run_about(self) -> str:
        if any(part.kind == "suite" for part in self.parts):
            return "It runs the missing trainings of the suite and prints the leaderboard."
        if all(part.kind == "metric" for part in self.parts):
            return "Metrics are computed for all new cells; this runs new cells with a seed that is not in the suite."
        return "It runs the missing trainings of the `quick` suite and prints the leaderboard; `--suite` selects another suite."


def run_command(parts: Sequence[Part]) -> str:
    """Return a command that runs the new parts."""

    def of(kind: str) -> list[str]:
        return [part.name for part in parts if part.kind == kind]

    combined = [part.name for part in parts if part.kind not in NO_COMBINATION]
    suite, executor, metric = of("suite"), of("executor"), of("metric")
    words = ["ltbench run"]
    words += [f"--suite {suite[0]}"] if suite else []
    words += [f"--plugins {','.join(combined)}"] if combined and not suite else []
    words += ["--max-techniques 0"] if not suite and not combined else []
    words += ["--seeds 3"] if metric and not suite and not combined else []
    words += [f"--executor {executor[0]}"] if executor else []
    words += [f"--observe {observer}" for observer in of("observer")]
    if metric:
        words += [] if suite else [f"--name {metric[0]}"]
        words += [f"&& ltbench export {suite[0] if suite else metric[0]} | grep {metric[0]}"]
    return " ".join(words)


def _words(text: str) -> set[str]:
    """Return all names that a module uses; empty for text that is not Python."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except SyntaxError:
        return set()
    imported = {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    return imported | {node.id for node in nodes if isinstance(node, ast.Name)}


def _field(part: Part) -> str:
    """Return the field of a suite that names a part; empty for a metric."""
    role = STAGES[part.kind].role
    return {"setting": f"{part.kind}s", "technique": "techniques", "metric": ""}[role]


def _first_line(part: Part) -> str:
    """Return the first docstring line of a template's class, or of its module if it has none."""
    text = _read(f"stages/my_{part.kind}.py")
    inside = text.partition("\nclass ")[2] or text
    return inside.split('"""')[1].split("\n")[0].rstrip(".")


def _read(path: str) -> str:
    return (_HERE / path).read_text(encoding="utf-8")


def write(files: Mapping[str, str], folder: Path) -> None:
    """Write a package completely or not at all: to a temporary folder, then renamed. `folder` is new or empty."""
    folder = folder.absolute()
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError(
            f"{folder.name} already exists" + (" and is not empty" if folder.is_dir() else ""), where=str(folder),
            why="existing files are never overwritten", fix="another folder: --output DIR",
        )  # fmt: skip
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.new")
    try:
        for path, text in files.items():
            file = temporary / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        if folder.exists():
            # Move files into it instead of replacing it: a shell may have it as its working directory.
            for file in temporary.iterdir():
                file.rename(folder / file.name)
        else:
            temporary.rename(folder)
    except OSError as error:
        raise UsageError(
            f"{folder.name} cannot be written", where=str(folder), why=error.strerror or str(error),
            fix="another folder: --output DIR",
        ) from None  # fmt: skip
    finally:
        atomic_files.remove(temporary)
