"""Digests of the code of techniques: records from other code are stale."""

from __future__ import annotations

import io
import re
import sys
import token
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from ltbench.core.checksums import digest
from ltbench.technique import Technique

_CODE = "code:"
"""Prefix of digests of code. Digests without it, in older records, are digests of file content."""
_STRING = re.compile(r"""[rRuU]?["']""")
_DROPPED = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER}
# By name, because token numbers depend on the version of Python.
_OPENS, _CLOSES = {"FSTRING_START", "TSTRING_START"}, {"FSTRING_END", "TSTRING_END"}


@cache
def source_digest(technique: type[Technique]) -> str:
    """Return a digest of the code in a technique's file; empty without a file."""
    file = getattr(sys.modules.get(technique.__module__), "__file__", None)
    return code_digest(Path(file).read_bytes()) if file and Path(file).exists() else ""


def is_other_source(then: str, now: str) -> bool:
    """Whether two source digests are of different code.

    Digests of file content and of code cannot be compared. Then the record counts as current, as otherwise all older
    records would be stale; version and revision are compared in any case.
    """
    if then and now and then.startswith(_CODE) != now.startswith(_CODE):
        return False
    return then != now


def code_digest(source: bytes) -> str:
    """Return a digest of the tokens of a source file, equal for all versions of Python.

    Comments, docstrings and other bare strings, white space and line breaks are ignored. For a file that is not valid
    Python, it is the digest of its content.
    """
    try:
        content = "\0".join(part for line in _logical_lines(source) for part in line).encode()
    except (tokenize.TokenError, SyntaxError, UnicodeDecodeError):
        content = source
    return _CODE + digest(content, 12)


def _logical_lines(source: bytes) -> Iterator[list[str]]:
    """Yield the tokens of each logical line, except lines that are only a string."""
    line: list[str] = []
    for kind, text in _tokens(source):
        if kind in {tokenize.INDENT, tokenize.DEDENT}:
            yield [token.tok_name[kind]]  # the width of indentation does not matter
        elif kind != tokenize.NEWLINE:
            line.append(text)
        else:
            if not all(text in "()" or _STRING.match(text) for text in line):
                yield [*line, "\n"]
            line = []


def _tokens(source: bytes) -> Iterator[tuple[int, str]]:
    """Yield kind and text of each token of code. An f-string is a single token, as before Python 3.12."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    lines = list(io.TextIOWrapper(io.BytesIO(source), encoding))
    depth, begin = 0, (0, 0)
    for part in tokenize.generate_tokens(iter(lines).__next__):
        name = token.tok_name[part.type]
        if name in _OPENS:
            begin = part.start if depth == 0 else begin
            depth += 1
        elif name in _CLOSES:
            depth -= 1
            if depth == 0:
                yield tokenize.STRING, _slice(lines, begin, part.end)
        elif depth == 0 and part.type not in _DROPPED:
            yield part.type, part.string


def _slice(lines: list[str], begin: tuple[int, int], end: tuple[int, int]) -> str:
    (first, left), (last, right) = begin, end
    if first == last:
        return lines[first - 1][left:right]
    return "".join([lines[first - 1][left:], *lines[first : last - 1], lines[last - 1][:right]])
