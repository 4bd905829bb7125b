"""The keys of a suite file, for users and editors, from the types and docstrings of the suite's classes.

`python -m ltbench.suite.schema` prints the JSON schema.
"""

from __future__ import annotations

import ast
import inspect
import sys
import types
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import msgspec

from ltbench.suite.published import FIGURES, WITH_THRESHOLD, Claim, Reported, SettingFilter
from ltbench.suite.recipe import Recipe
from ltbench.suite.suite import Suite
from ltbench.suite.tuning import Tuning
from ltbench.technique import allowed, written

TABLES: dict[str, type[msgspec.Struct]] = {
    "": Suite,
    "recipe": Recipe,
    "tune": Tuning,
    "reported": Reported,
    "claims": Claim,
}
"""Tables of a suite file by their key; the first is the file itself."""


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of suite files, with the meaning of every key."""
    schema: dict[str, Any] = msgspec.json.schema(Suite)
    parts = schema["$defs"]
    for kind in TABLES.values():
        meanings = key_meanings(kind)
        for key, field in parts[kind.__name__]["properties"].items():
            field["description"] = meanings[key]
            # TOML has no null: omitted keys have their default.
            if "anyOf" in field:
                field["anyOf"] = [one for one in field["anyOf"] if one != {"type": "null"}]
            if field.get("default", 0) is None:
                del field["default"]
        parts[kind.__name__]["description"] = inspect.getdoc(kind)
    recipe, suite = parts["Recipe"], parts["Suite"]["properties"]
    recipe["oneOf"] = [{"required": ["epochs"]}, {"required": ["steps"]}]
    fields = recipe["properties"]
    suite["sweep"] |= {
        "properties": {key: {"type": "array", "items": field, "minItems": 1} for key, field in fields.items()},
        "additionalProperties": False,
    }
    for kind in (Reported, Claim):
        parts[kind.__name__]["properties"]["recipe"] |= {"properties": fields, "additionalProperties": False}
    plain = [name for name in FIGURES if name not in WITH_THRESHOLD]
    thresholds = {"pattern": rf"^({'|'.join(WITH_THRESHOLD)})\[threshold=[1-9]\d*\]$"}
    suite["figures"]["items"] = {"type": "string", "anyOf": [{"enum": plain}, thresholds]}
    pair = suite["screen_pairs"]["items"]
    # Draft 7 writes the items of a pair as later drafts write `prefixItems`.
    pair |= {"items": pair.pop("prefixItems"), "additionalItems": False}
    # Python's `$` also matches before a final newline, and JSON Schema has no `\Z`.
    suite["name"]["pattern"] = suite["name"]["pattern"].replace(r"\Z", "$")
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Suite of ltbench"} | schema


def schema_text() -> str:
    """Return the JSON schema as the text of a file."""
    return msgspec.json.format(msgspec.json.encode(json_schema()), indent=2).decode() + "\n"


def key_table(table: str) -> list[str]:
    """Return the keys of a table of a suite file as lines of a markdown table. table: a key of `TABLES`."""
    kind = TABLES[table]
    meanings = key_meanings(kind)
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for field in msgspec.structs.fields(kind):
        cells = (f"`{field.name}`", value_text(field.type), _default(field), meanings[field.name])
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return lines


def value_text(kind: Any) -> str:
    """Describe the allowed values of a key: `int >= 1`, `list of str with at least 1`, `table`."""
    parts = [part for part in get_args(kind) if part is not type(None)]
    if get_origin(kind) is types.UnionType and len(parts) == 1:
        return value_text(parts[0])  # TOML has no null
    if get_origin(kind) is dict:
        return "table"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return "table"
    if (
        get_origin(kind) is tuple
        and isinstance(get_args(kind)[0], type)
        and issubclass(get_args(kind)[0], msgspec.Struct)
    ):
        return "list of tables"
    return allowed(kind).removesuffix(" or none")


def key_meanings(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Return the meaning of each key of a class: the text below its field, the last one if a field is repeated."""
    meanings: dict[str, str] = {}
    for owner in reversed(kind.__mro__):
        if issubclass(owner, (Suite, Recipe, Tuning, SettingFilter)):
            meanings |= _field_docs(owner)
    return meanings


def _field_docs(kind: type) -> Iterator[tuple[str, str]]:
    # Texts below fields exist only in the source.
    (body,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(body, ast.ClassDef), "it is the source of a class"
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            match text:
                case ast.Expr(value=ast.Constant(value=str(meaning))):
                    yield field.target.id, " ".join(meaning.split())


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if default is None or default in ("", (), {}):
        return ""
    if isinstance(default, tuple):
        return f"`[{', '.join(map(_toml, default))}]`"
    return f"`{_toml(default)}`"


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else written(value)


if __name__ == "__main__":
    sys.stdout.write(schema_text())
