"""What makes records stale: other code, and neither words nor layout."""

from __future__ import annotations

import ast
import inspect
import tokenize
from types import SimpleNamespace

import pytest

from ltbench.registry.differences import differences
from ltbench.registry.source_digest import code_digest, is_other_source, source_digest

CODE = '''"""About the module."""

from ltbench import Loss  # the base


class Mine(Loss):
    """About the class. Source: none."""

    name = "mine"
    gamma: float = 2.0
    """About the parameter."""

    def per_sample(self, logits, labels, counts):
        """About the method."""
        # why
        return f"{self.gamma:.1f}", """two
lines""", (logits * 2 +
            labels)
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("About the module.", "Other words,\n\non more lines."),
        ('    """About the class. Source: none."""\n', ""),
        ('"""About the class. Source: none."""', 'r"""Raw. Source: none."""'),
        ('"""About the parameter."""', '("About the " \'parameter\')'),
        ('    """About the parameter."""\n', ""),
        ('"""About the method."""', '"About the method: # 3."'),
        ("# why", "# because"),
        ("        # why\n", ""),
        ("  # the base", ""),
        ('name = "mine"\n', 'name = "mine"   \n\n\n'),
        ("gamma: float = 2.0", "gamma:float=2.0"),
        ("logits * 2 +\n            labels", "logits * 2 + labels"),
        ("\n", "\r\n"),
    ],
)  # fmt: skip
def test_docstrings_comments_and_layout_do_not_change_the_digest(old: str, new: str) -> None:
    assert old in CODE
    changed = CODE.replace(old, new)
    ast.parse(changed)
    assert code_digest(changed.encode()) == code_digest(CODE.encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2.0", "2.5"),
        ("logits * 2", "logits / 2"),
        ("logits * 2", "labels * 2"),
        ('"mine"', '"yours"'),
        ("{self.gamma:.1f}", "{self.gamma:.2f}"),
        ("two\nlines", "two\n\nlines"),
        ("two\nlines", "two \nlines"),
        ("    gamma: float = 2.0\n", ""),
        ('        return f"', '        if 1:\n            logits = labels\n        return f"'),
    ],
)
def test_changed_code_changes_the_digest(old: str, new: str) -> None:
    assert old in CODE
    changed = CODE.replace(old, new)
    ast.parse(changed)
    assert code_digest(changed.encode()) != code_digest(CODE.encode())


def test_changed_nesting_changes_the_digest() -> None:
    inside, outside = b"if x:\n    a = 1\n    b = 2\n", b"if x:\n    a = 1\nb = 2\n"
    assert code_digest(inside) != code_digest(outside)


def test_the_digest_is_the_same_in_every_version_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    line = 'x = f"a{y!r:>{w}}b" + 1\n'
    plain = code_digest(line.encode())
    assert plain == "code:63de9a0fb4bf"
    # From 3.12 on an f-string comes in parts.
    for number, name in {1000: "FSTRING_START", 1001: "FSTRING_END"}.items():
        monkeypatch.setitem(tokenize.tok_name, number, name)
    parts = [
        (tokenize.NAME, "x", 0), (tokenize.OP, "=", 2), (1000, 'f"', 4), (tokenize.OP, "{", 7), (tokenize.NAME, "y", 8),
        (1001, '"', 18), (tokenize.OP, "+", 20), (tokenize.NUMBER, "1", 22), (tokenize.NEWLINE, "\n", 23),
    ]  # fmt: skip
    made = [SimpleNamespace(type=t, string=s, start=(1, c), end=(1, c + len(s))) for t, s, c in parts]
    monkeypatch.setattr("ltbench.registry.source_digest.tokenize.generate_tokens", lambda _: made)
    assert code_digest(line.encode()) == plain


@pytest.mark.parametrize(
    "source", [b"def f(:\n  (", b"\xff\xfe\x00", b"if x:\n        a\n    b\n", b"# coding: nonsense\n"]
)
def test_an_invalid_file_has_a_digest_of_its_bytes(source: bytes) -> None:
    assert code_digest(source).startswith("code:")
    assert code_digest(source) == code_digest(source) != code_digest(source + b" ")


def test_a_record_with_a_digest_of_bytes_is_not_stale(registry) -> None:
    now = registry.provenance(registry.parse("focal"))
    assert now["source"] == source_digest(type(registry.parse("focal")))
    assert differences([now | {"source": "0123456789ab"}], registry, {}) == []
    assert differences([now | {"source": "0123456789ab", "version": "0.0"}], registry, {}) != []
    assert differences([now | {"source": "code:0123456789"}], registry, {}) == [
        f"focal: its source has changed since, but not its version {now['version']}"
    ]


def test_only_digests_of_one_kind_are_compared() -> None:
    assert is_other_source("code:1", "code:2")
    assert is_other_source("1", "2")
    assert is_other_source("", "code:1")
    assert not is_other_source("1", "code:1")
    assert not is_other_source("code:1", "1")
    assert not is_other_source("code:1", "code:1")


def test_every_built_in_has_a_digest_of_its_code(registry) -> None:
    for entry in registry.entries.values():
        digest = source_digest(entry.technique)
        text = inspect.getsource(inspect.getmodule(entry.technique))
        assert digest == code_digest(text.encode())
        assert digest != code_digest((text + "\nx = 1\n").encode())
