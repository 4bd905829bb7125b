"""A digest of the code that defines a technique: records made by other code are stale."""

from __future__ import annotations

import hashlib
import io
import re
import sys
import token
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from ltbench.technique import Technique

_CODE = "code:"
"""Marks a digest of code; those without the mark, in records of old, are of all bytes of the file."""
_STRING = re.compile(r"""[rRuU]?["']""")
_DROPPED = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER}
# Names, as the numbers of these tokens and whether there are any depend on the version of Python.
_OPENS, _CLOSES = {"FSTRING_START", "TSTRING_START"}, {"FSTRING_END", "TSTRING_END"}


@cache
def source_digest(technique: type[Technique]) -> str:
    """Return a digest of the file that defines a technique, comments and docstrings left out; empty without a file."""
    file = getattr(sys.modules.get(technique.__module__), "__file__", None)
    return code_digest(Path(file).read_bytes()) if file and Path(file).exists() else ""


def is_other_source(then: str, now: str) -> bool:
    """Whether two source digests are of different code.

    A digest of bytes and one of code tell nothing of each other. Such records are taken for current: else every one
    made before digests were of code would be stale, and its version and revision are compared anyway.
    """
    if then and now and then.startswith(_CODE) != now.startswith(_CODE):
        return False
    return then != now


def code_digest(source: bytes) -> str:
    """Return a digest that changes with the code and with nothing else, the same in every version of Python.

    Left out are comments, white space, line breaks and statements that are only a string. What Python cannot read is
    taken as it is.
    """
    try:
        content = "\0".join(part for line in _logical_lines(source) for part in line).encode()
    except (tokenize.TokenError, SyntaxError, UnicodeDecodeError):
        content = source
    return _CODE + hashlib.sha256(content).hexdigest()[:12]


def _logical_lines(source: bytes) -> Iterator[list[str]]:
    """Yield the tokens of each logical line that is more than a string."""
    line: list[str] = []
    for kind, text in _tokens(source):
        if kind in {tokenize.INDENT, tokenize.DEDENT}:
            yield [token.tok_name[kind]]  # blocks, however deep the author indents
        elif kind != tokenize.NEWLINE:
            line.append(text)
        else:
            if not all(text in "()" or _STRING.match(text) for text in line):
                yield [*line, "\n"]
            line = []


def _tokens(source: bytes) -> Iterator[tuple[int, str]]:
    """Yield kind and text of every token that is code, with an f-string whole, as in Python before 3.12."""
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
