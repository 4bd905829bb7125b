"""Mutates real records and files beside them, as somebody who can compute digests would, and runs all commands that read them."""

from __future__ import annotations

import contextlib
import copy
import gzip
import io
import random
import shutil
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from synthetic import verification

from ltbench.cli import group
from ltbench.core.checksums import digest
from ltbench.core.spec import canonical, identity
from ltbench.errors import LtbenchError
from ltbench.records.record import decoded, sealed

Json = Any

LONG = "x" * 300_000
VALUES: tuple[Json, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**40, -0.0, 1e308, -1e308, 1e-320, 0.5, "", " ", "a", "\x1b[31mred", "\x00",
    "a\nb", "<script>alert(1)</script>", "=1+1", "| a | b |", "`", "--help", "../../etc/passwd", "\u202eabc", "é" * 50, LONG,
    [], {}, [[]], [None], {"": None}, ["a"] * 1000, [1e308] * 10, {"name": "x"}, [[[[[[[[1]]]]]]]], "u1:eJwDAAAAAAE=",
    "f8:AAAA", "confusion:recall", "u8:" + "A" * 1000, {"classes": 10**9, "gaps": "u1:eJwDAAAAAAE=", "images": "u1:eJwDAAAAAAE="},
    [[10**30]], [[1, 2], [3]], "focal[gamma=1e999]", "$\\frac{$", "a" * 300, "focal[", "]", "all", "tuned", "baseline",
)  # fmt: skip


def places(value: Json, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the paths of all parts of a JSON value."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, part in value.items():
            yield from places(part, (*path, key))
    elif isinstance(value, list):
        for number, part in enumerate(value[:3]):
            yield from places(part, (*path, number))


def mutated(value: Json, rng: random.Random) -> tuple[Json, str]:
    """Return a copy with one change, and the change in words."""
    value = copy.deepcopy(value)
    paths = list(places(value))
    # Not only what there is most of, such as numbers per class.
    top = rng.choice(sorted({str(path[0]) for path in paths}))
    path = rng.choice([path for path in paths if str(path[0]) == top])
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    last, kind = path[-1], rng.choice(["set", "set", "set", "delete", "add", "rename", "nest", "stretch"])
    if kind == "set":
        parent[last] = rng.choice(VALUES)
    elif kind == "delete":
        del parent[last]
    elif kind == "add" and isinstance(parent, dict):
        parent[rng.choice(["new", "\x1b", "", "params", "teacher", "held_out", "report"])] = rng.choice(VALUES)
    elif kind == "rename" and isinstance(parent, dict):
        parent[rng.choice(["a", "__class__", "<b>", LONG[:500]])] = parent.pop(last)
    elif kind == "nest":
        for _ in range(rng.choice([3, 300, 3000])):
            parent[last] = [parent[last]]
    elif isinstance(parent[last], list):
        parent[last] = parent[last] * rng.choice([0, 2, 1000])
    else:
        parent[last] = rng.choice(VALUES)
    return value, f"{kind} {'.'.join(map(str, path))[:60]}"


def resealed(raw: Json) -> bytes:
    """Return a line with the identity and digest of its content, if it has one."""
    with contextlib.suppress(Exception):
        raw["spec"]["members"] = [identity(fit) for fit in raw["fits"]]
        raw["id"] = identity(raw["spec"])
    with contextlib.suppress(Exception):
        return canonical(sealed(decoded(msgspec.json.encode(raw))))
    with contextlib.suppress(Exception):
        raw["digest"] = digest(canonical(raw | {"digest": ""}), 32)
    try:
        return msgspec.json.encode(raw)
    except (RecursionError, ValueError):
        depth = 100_000
        return b'{"id":' + b"[" * depth + b"]" * depth + b"}"


def commands(board: Path, other: Path, cell: str) -> list[list[str]]:
    """Return all commands that read a page, with the page as it is and as a source of another one."""
    home = ["--leaderboards", str(board.parent)]
    return [
        ["leaderboard", "board", *home],
        ["leaderboard", *home, "--json"],
        ["leaderboard", *home, "--check", "--readme", str(board / "none.md")],
        ["leaderboard", *home, "--update", "--readme", str(board / "none.md")],
        ["report", "board", *home],
        ["export", "board", *home, "--per-class"],
        ["export", "board", *home, "--format", "json"],
        ["show-cell", cell, *home],
        ["show-cell", cell, *home, "--json"],
        ["compare", "board", str(other), *home],
        ["compare", str(other), "board", *home, "--json"],
        ["merge", str(board), "--into", str(other), *home],
        ["invalidate", cell, "--reason", "no", *home],
        ["verify", str(board), *home],
    ]


def tracebacks(words: list[str]) -> str:
    """Run a command in this process; return the traceback of an error that is none of ltbench's, or an empty text."""
    out, err = io.TextIOWrapper(io.BytesIO()), io.TextIOWrapper(io.BytesIO())
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            group.main(words, prog_name="ltbench", standalone_mode=False)
        except (LtbenchError, click.ClickException, SystemExit):
            return ""
        except BaseException:
            return traceback.format_exc()
    return ""


def fuzz(root: Path, source: Path, rounds: int, seed: int, tell: Callable[[str], None] = print) -> dict[str, int]:
    """Return attempts and tracebacks of commands on mutated pages. source: folder of a real page."""
    rng = random.Random(seed)
    packed = source / "records.jsonl.gz"
    content = gzip.decompress(packed.read_bytes()) if packed.exists() else (source / "records.jsonl").read_bytes()
    lines = content.splitlines()[:: max(1, len(content.splitlines()) // 8)]
    facts = msgspec.json.decode((source / "suite.json").read_bytes()) | {"figures": []}
    beside: dict[str, list[Json]] = {
        name: [msgspec.json.decode(line) for line in (source / name).read_bytes().splitlines()[:2]]
        for name in ("tuning.jsonl",)
        if (source / name).exists()
    }
    beside |= {
        name: [msgspec.json.decode((source / name).read_bytes())]
        for name in ("search.json",)
        if (source / name).exists()
    }
    records = [record for line in lines if (record := decoded(line)).status == "ok"]
    beside["verified.json"] = [msgspec.to_builtins({"schema": 1, "verifications": [verification(records)]})]
    counts = {"pages": 0, "commands": 0, "tracebacks": 0}
    for number in range(rounds):
        board, other = root / f"{number}" / "leaderboards" / "board", root / f"{number}" / "mine"
        # Drawing takes most of the time.
        drawn = facts | {"figures": ["head_to_tail", "bars", "confusion", "curves"]} if rng.random() < 0.1 else facts
        for folder in (board, other):
            folder.mkdir(parents=True)
            (folder / "records.jsonl").write_bytes(b"\n".join(lines) + b"\n")
            (folder / "suite.json").write_bytes(msgspec.json.encode(drawn))
            for name, parts in beside.items():
                (folder / name).write_bytes(b"\n".join(map(msgspec.json.encode, parts)) + b"\n")
        cell = msgspec.json.decode(lines[0])["id"]
        if (kind := rng.random()) < 0.6:
            made, change = mutated(msgspec.json.decode(lines[0]), rng)
            line = resealed(made)
            with contextlib.suppress(Exception):
                cell = str(msgspec.json.decode(line)["id"])
            (board / "records.jsonl").write_bytes(b"\n".join([line, *lines[1:]]) + b"\n")
        elif kind < 0.9:
            name = rng.choice(["suite.json", *sorted(beside)])
            first, *rest = [drawn] if name == "suite.json" else beside[name]
            made, change = mutated(first, rng)
            change = f"{name}: {change}"
            with contextlib.suppress(RecursionError):
                (board / name).write_bytes(b"\n".join(map(msgspec.json.encode, [made, *rest])) + b"\n")
        else:
            text = bytearray((board / "records.jsonl").read_bytes())
            start = rng.randrange(len(text))
            text[start : start + rng.choice([1, 10, 1000])] = rng.randbytes(rng.choice([0, 1, 10]))
            (board / "records.jsonl").write_bytes(text)
            change = f"bytes at {start}"
        counts["pages"] += 1
        for words in commands(board, other, cell[:40] if cell.strip() else "0"):
            counts["commands"] += 1
            if found := tracebacks(words):
                counts["tracebacks"] += 1
                tell(f"round {number}, seed {seed}, {change}: {' '.join(words[:2])}\n{found[-1500:]}")
        shutil.rmtree(root / f"{number}")
    return counts


def main(argv: Sequence[str]) -> None:
    """Fuzz a page. argv: scratch folder, folder of the page, rounds, seed."""
    sys.stdout.write(f"{fuzz(Path(argv[0]), Path(argv[1]), int(argv[2]), int(argv[3]))}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
