"""A technique of a script or notebook becomes a plugin file that is complete, or an error says what is missing."""

from __future__ import annotations

import linecache
import math
import sys
import types
from pathlib import Path

import pytest

from ltbench.api.class_source import check_same, plugin_file, plugin_text
from ltbench.core.plugins import PluginOrigin
from ltbench.errors import UsageError
from ltbench.registry.registry import Registry

HEAD = """\
from __future__ import annotations
import math
import math as maths
from functools import partial
from typing import Annotated, ClassVar
from ltbench import Loss, Meta, Metric
SCALE, NAMES = 2.0, ("a", "b")
THING = object()
def outer(x):
    return inner(x) * SCALE
def inner(x):
    return outer(x - 1) if x > 100 else x
class Helper:
    def twice(self, x):
        return 2 * x
"""
CLASS = """\
class MyLoss(Loss):
    \"\"\"A loss. Source: none.\"\"\"
    name = "my_loss"
    gamma: Annotated[float, Meta(ge=0, description="strength")] = 2.0
    kept: ClassVar = NAMES

    def per_sample(self, logits, labels, counts):
        BODY
"""


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs cells of a notebook, and returns its module."""

    def run(*texts: str) -> types.ModuleType:
        module = types.ModuleType("notebook")
        monkeypatch.setitem(sys.modules, "notebook", module)
        for number, text in enumerate(texts):
            name = f"<cell {number} of {id(module)}>"
            linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
            exec(compile(text, name, "exec"), vars(module))
        return module

    return run


def loss(cell, body: str, *, head: str = HEAD):
    return cell(head, "from __future__ import annotations\n" + CLASS.replace("BODY", body)).MyLoss


def test_the_file_has_what_the_class_uses_and_nothing_else(cell, tmp_path: Path) -> None:
    kind = loss(cell, "return outer(labels) + math.pi + Helper().twice(1) + partial(inner)(2)")
    text = plugin_text(kind)
    assert "THING" not in text
    assert "maths" not in text
    assert "Metric" not in text
    assert "from ltbench import Loss" in text
    path = plugin_file(kind, tmp_path)
    assert path.name == "my_loss.py"
    registry = Registry.load(PluginOrigin(plugin_files=(str(path),)))
    made = registry.parse("my_loss[gamma=0.5]")
    assert registry.provenance(made)["distribution"] == "file:my_loss"
    assert registry.provenance(made)["source"].startswith("code:")
    assert made.per_sample(None, 3, None) == pytest.approx(3 * 2.0 + math.pi + 2 + 2)


def test_equal_source_is_the_same_file_and_another_is_another(cell, tmp_path: Path) -> None:
    one, same, other = (plugin_file(loss(cell, f"return {n}"), tmp_path) for n in (1, 1, 2))
    assert one == same != other


def test_the_class_of_the_last_cell_counts(cell) -> None:
    first, second = (CLASS.replace("BODY", f"return {n}") for n in (1, 2))
    text = plugin_text(cell(HEAD, first, second).MyLoss)
    assert "return 2" in text
    assert "return 1" not in text


def test_lines_for_ipython_do_not_matter(cell) -> None:
    module = cell(HEAD, CLASS.replace("BODY", "return SCALE"))
    (name,) = [name for name in linecache.cache if name.startswith("<cell 1 of")][-1:]
    lines = ["%matplotlib inline\n", *linecache.cache[name][2], "!ls\n"]
    code = module.MyLoss.per_sample.__code__
    module.MyLoss.per_sample.__code__ = code.replace(co_firstlineno=code.co_firstlineno + 1)
    linecache.cache[name] = (1, None, lines, name)
    text = plugin_text(module.MyLoss)
    assert "return SCALE" in text
    assert "matplotlib" not in text
    assert "!ls" not in text


def test_a_value_that_workers_cannot_have_is_named(cell) -> None:
    with pytest.raises(UsageError) as caught:
        plugin_text(loss(cell, "return THING"))
    assert str(caught.value) == (
        "loss 'my_loss' cannot be given to workers\n"
        "  why: it uses 'THING', an object, which is neither imported nor a constant\n"
        "  try: make it in a function or method, or write the technique into a file, and give plugin_files=[FILE]"
    )


def test_a_script_is_no_module_to_import_from_under_any_of_its_names(cell, monkeypatch: pytest.MonkeyPatch) -> None:
    # As `__main__`, which multiprocessing has in `sys.modules` as `__mp_main__`, too.
    kind = loss(cell, "return THING", head=HEAD.replace("object()", "math.inf"))
    monkeypatch.setitem(sys.modules, "notebook_again", sys.modules["notebook"])
    with pytest.raises(UsageError, match="it uses 'THING', a float, which is neither imported nor a constant"):
        plugin_text(kind)


def made_in_a_function(cell, head: str) -> type:
    body = "".join(f"    {line}\n" for line in CLASS.replace("BODY", "return k").splitlines())
    return cell(HEAD, f"{head}\ndef make(k):\n{body}    return MyLoss\n").make(3)


@pytest.mark.parametrize("head", ["", "k = 7"])
def test_names_of_an_outer_function_are_refused_and_not_taken_from_the_module(head: str, cell) -> None:
    with pytest.raises(UsageError, match="MyLoss uses 'k' of the function in which it is defined"):
        plugin_text(made_in_a_function(cell, head))


def test_a_second_name_of_a_function_is_defined_too(cell, tmp_path: Path) -> None:
    kind = loss(cell, "return again(labels)", head=HEAD + "again = inner\n")
    registry = Registry.load(PluginOrigin(plugin_files=(str(plugin_file(kind, tmp_path)),)))
    assert registry.parse("my_loss").per_sample(None, 3, None) == 3


def test_a_function_whose_own_name_means_something_else_is_refused(cell) -> None:
    head = HEAD + "again = inner\ndef inner(x):\n    return 0\n"
    with pytest.raises(UsageError, match="it uses 'again', whose own name 'inner' means something else"):
        plugin_text(loss(cell, "return again(labels)", head=head))


def change_nothing(kind: type) -> None:
    pass


def change_constant(kind: type) -> None:
    kind.kept = ("c",)


def add_constant(kind: type) -> None:
    kind.added = 1


def change_method(kind: type) -> None:
    kind.per_sample = lambda self, logits, labels, counts: labels * 3


@pytest.mark.parametrize(
    ("change", "name"),
    [(change_nothing, ""), (change_constant, "kept"), (add_constant, "added"), (change_method, "per_sample")],
)
def test_what_was_changed_after_the_definition_is_refused(change, name: str, cell, tmp_path: Path) -> None:
    kind = loss(cell, "return math.sqrt(labels) + 3 * (lambda x: x)(labels)\n\n    def other(self):\n        pass")
    change(kind)
    registry = Registry.load(PluginOrigin(plugin_files=(str(plugin_file(kind, tmp_path)),)))
    loaded = registry.entry("my_loss").technique
    if name:
        with pytest.raises(UsageError, match=f"'{name}' of MyLoss is not as its source says"):
            check_same(kind, loaded)
    else:
        check_same(kind, loaded)


def test_a_class_whose_source_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("typed_in")
    monkeypatch.setitem(sys.modules, "typed_in", module)
    exec(compile(HEAD + CLASS.replace("BODY", "return 1"), "<stdin>", "exec"), vars(module))
    with pytest.raises(UsageError, match="the source of MyLoss is not known"):
        plugin_text(module.MyLoss)
