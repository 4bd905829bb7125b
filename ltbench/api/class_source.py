"""Writes a technique that a script or a notebook defines as a plugin file: its class, and what this uses of the script.

Workers load the file, and records name the digest of its code, as of any plugin file.
"""

from __future__ import annotations

import ast
import dis
import inspect
import linecache
import symtable
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import ltbench
from ltbench.core.checksums import digest
from ltbench.core.words import with_article
from ltbench.errors import UsageError
from ltbench.records.written_files import write_atomic
from ltbench.stages import STAGES
from ltbench.technique import Technique

FOLDER = "_sources"
"""Below the local pages; no page has such a name."""


def plugin_file(kind: type[Technique], folder: Path) -> Path:
    """Write the plugin file of a technique, and return its path. Raises `UsageError` if the source is not complete."""
    text = plugin_text(kind)
    path = folder / FOLDER / digest(text.encode(), 12) / f"{kind.name}.py"
    write_atomic(path, text.encode())
    return path


def plugin_text(kind: type[Technique]) -> str:
    """Return the text of a plugin with this technique: imports, constants, functions and classes that it uses, its hook."""
    parts = _Parts(kind)
    parts.add_class()
    future = ["from __future__ import annotations", ""] if parts.is_deferred else []
    hook = [
        "@_hookimpl", f"def {STAGES[kind.stage].hook}():", f'    """Offer `{kind.name}`."""', f"    return [{kind.__name__}]",
    ]  # fmt: skip
    imports = sorted({*parts.imports, "from ltbench import hookimpl as _hookimpl"})
    return "\n".join([*future, *imports, "", *parts.constants, *parts.definitions, *hook, ""])


class _Parts:
    """The parts of a plugin file, in the order in which Python needs them."""

    def __init__(self, kind: type[Technique]) -> None:
        self.imports: set[str] = set()
        self.constants: list[str] = []
        self.definitions: list[str] = []
        self.is_deferred = False
        """Whether annotations are not evaluated."""
        self._of, self._home = kind, kind.__module__
        self._globals: Mapping[str, object] = getattr(sys.modules.get(kind.__module__), "__dict__", {})
        self._seen: set[str] = set()

    def add_class(self) -> None:
        """Add the technique itself."""
        self._seen.add(self._of.__name__)
        self._define(self._of)

    def add(self, name: str, value: object) -> None:
        """Add what a name means, after what that uses."""
        if name in self._seen:
            return
        self._seen.add(name)
        if isinstance(value, ModuleType):
            self.imports.add(f"import {value.__name__}{'' if name == value.__name__ else f' as {name}'}")
        elif isinstance(value, type | FunctionType) and value.__module__ == self._home:
            self._define_as(name, value)
        elif source := _importable(name, value, self._globals):
            self.imports.add(source)
        elif _is_literal(value):
            self.constants.append(f"{name} = {value!r}")
        else:
            raise self._error(f"it uses '{name}', {with_article(type(value).__name__)}, which is neither imported nor a constant",
                              "make it in a function or method, or write the technique into a file, and give plugin_files=[FILE]")  # fmt: skip

    def _define_as(self, name: str, value: type | FunctionType) -> None:
        """Define what may have another name, which then has to mean the same."""
        own = value.__name__
        if own == name:
            self._define(value)
            return
        if self._globals.get(own) is not value:
            raise self._error(f"it uses '{name}', whose own name '{own}' means something else",
                              "write the technique into a file, and give plugin_files=[FILE]")  # fmt: skip
        self.add(own, value)
        self.definitions += [f"{name} = {own}", ""]

    def _define(self, value: type | FunctionType) -> None:
        if outer := _outer_names(value):
            raise self._error(f"{value.__name__} uses '{outer[0]}' of the function in which it is defined",
                              "make it a constant of the module, or a parameter of the technique")  # fmt: skip
        code = _code_of(value)
        self.is_deferred |= code is not None and bool(code.co_flags & _DEFERRED)
        text = _text_of(value, code)
        if text is None:
            raise self._error(
                f"the source of {value.__name__} is not known", "write it into a file, and give plugin_files=[FILE]"
            )
        for used in _names_used(text, is_deferred=self.is_deferred):
            if used in self._globals:
                self.add(used, self._globals[used])
        self.definitions += [text, ""]

    def _error(self, why: str, fix: str) -> UsageError:
        return UsageError(f"{self._of.stage} '{self._of.name}' cannot be given to workers", why=why, fix=fix)


_DEFERRED = annotations.compiler_flag


def _importable(name: str, value: object, home: Mapping[str, object]) -> str:
    """Return the import of a value from where it is defined, or from a module that has it by that name; empty if none.

    home: the names of the script, which is no such module. It may be in `sys.modules` under several names.
    """
    if name in ltbench.__all__ and getattr(ltbench, name) is value:
        return f"from ltbench import {name}"
    module, qualified = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    where = sys.modules.get(module) if isinstance(module, str) else None
    if getattr(where, "__dict__", None) is not home and getattr(where, qualified, None) is value:
        return f"from {module} import {qualified}{'' if name == qualified else f' as {name}'}"
    if _is_literal(value):
        return ""
    holders = [
        where for where, each in sys.modules.items()
        if (names := getattr(each, "__dict__", None)) is not None and names is not home and names.get(name) is value
    ]  # fmt: skip
    return f"from {min(holders, key=lambda where: (where.count('.'), where))} import {name}" if holders else ""


def _is_literal(value: object) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False


def check_same(kind: type[Technique], loaded: type[Technique]) -> None:
    """Raise `UsageError` unless a class is still as its source says, which is what workers have loaded."""
    for own, other in zip(kind.__mro__, loaded.__mro__, strict=False):
        if own.__module__ != kind.__module__:
            continue
        for name, value in vars(own).items():
            if name not in _OF_CLASSES and _facts(value) != _facts(vars(other).get(name)):
                raise UsageError(
                    f"{kind.stage} '{kind.name}' cannot be given to workers", why=f"'{name}' of {own.__name__} is not as its source says",
                    fix="run the definition of the class again, with what was changed later, or write it into a file, and give plugin_files=[FILE]",
                )  # fmt: skip


_OF_CLASSES = {"__module__", "__doc__", "__qualname__"}


def _facts(value: object) -> object:
    """Return what can be compared of an attribute of a class: code, or a constant."""
    if (function := _function(value)) is not None:
        return _code_facts(function.__code__)
    return (type(value), value) if _is_literal(value) else None


_OPERATORS = ("BINARY", "UNARY", "COMPARE", "CONTAINS", "IS_OP")


def _code_facts(code: CodeType) -> object:
    """Return what code uses and computes. The bytes of equal source differ: a compiler calls an imported module's functions otherwise."""
    constants = [
        _code_facts(one) if isinstance(one, CodeType) else " ".join(one.split()) if isinstance(one, str) else (type(one), one)
        for one in code.co_consts
    ]  # fmt: skip
    operators = [(one.opname, one.arg) for one in dis.get_instructions(code) if one.opname.startswith(_OPERATORS)]
    return code.co_names, code.co_varnames, constants, operators


def _function(member: object) -> FunctionType | None:
    """Return the function that a member of a class is, or that it wraps."""
    member = getattr(member, "fget", None) or getattr(member, "__func__", member)
    return inspect.unwrap(member) if isinstance(member, FunctionType) else None


def _outer_names(value: type | FunctionType) -> list[str]:
    """Return the names of an outer function that a function, or a method of a class, uses."""
    functions = [value] if isinstance(value, FunctionType) else _methods(value)
    return sorted({name for each in functions for name in each.__code__.co_freevars} - {"__class__"})


def _methods(kind: type) -> list[FunctionType]:
    """Return the functions that are written in the body of a class."""
    functions = filter(None, map(_function, vars(kind).values()))
    return [each for each in functions if each.__qualname__.startswith(f"{kind.__qualname__}.")]


def _code_of(value: type | FunctionType) -> CodeType | None:
    """Return the code of a function, or of the first method of a class that is written in its body."""
    if isinstance(value, FunctionType):
        return value.__code__
    return next((function.__code__ for function in _methods(value)), None)


def _text_of(value: type | FunctionType, code: CodeType | None) -> str | None:
    """Return the source of a class or function; None if it is not known.

    `inspect` does not find classes of notebooks, as their module has no file. The code of a method knows its cell.
    """
    if code is None:
        try:
            return textwrap.dedent(inspect.getsource(value))
        except (OSError, TypeError):
            return None
    lines = linecache.getlines(code.co_filename)
    try:
        nodes = list(ast.walk(ast.parse("".join(lines))))
    except SyntaxError:  # a cell with lines for IPython: only the definition itself has to be Python
        return _indented_block(lines, value.__name__, code.co_firstlineno)
    for node in nodes:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == value.__name__:
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            if first <= code.co_firstlineno <= (node.end_lineno or 0):
                return textwrap.dedent("".join(lines[first - 1 : node.end_lineno]))
    return None


def _indented_block(lines: list[str], name: str, inside: int) -> str | None:
    """Return the definition around a line, up to the next line that is not indented."""
    starts = [n for n in range(inside) if lines[n].startswith((f"class {name}", f"def {name}"))]
    if not starts:
        return None
    first = starts[-1]
    while first and lines[first - 1].startswith("@"):
        first -= 1
    end = starts[-1] + 1
    while end < len(lines) and (not lines[end].strip() or lines[end][0] in " \t)"):
        end += 1
    return "".join(lines[first:end]).rstrip() + "\n"


def _names_used(text: str, *, is_deferred: bool) -> Iterator[str]:
    """Yield the global names that a definition uses, those of annotations included."""
    header = "from __future__ import annotations\n" if is_deferred else ""
    tables = [symtable.symtable(header + text, "source", "exec")]
    for table in tables:
        tables += table.get_children()
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module"):
                yield symbol.get_name()
    for node in ast.walk(ast.parse(text)):
        for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(annotation, ast.AST):
                yield from (part.id for part in ast.walk(annotation) if isinstance(part, ast.Name))
