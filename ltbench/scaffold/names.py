"""Valid names for a new technique and its package."""

from __future__ import annotations

import importlib.util
import keyword
import re
import unicodedata
from collections.abc import Mapping

from ltbench.core.plugins import PluginSource
from ltbench.errors import UsageError
from ltbench.registry.entry_points import installed
from ltbench.registry.registry import Registry

LONGEST = 60
"""Names are columns of tables and parts of file names."""
_WORD = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")
_DISTRIBUTION = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?\Z")


def taken(registry: Registry) -> dict[str, str]:
    """Return the owner of every name in use by a plugin, a technique, a method, a suite, an executor or an observer."""
    owners = {source.plugin: _who(source) for source, _ in installed()}
    for source, family in registry.families:
        owners |= dict.fromkeys(family.names(), _who(source))
    for loaded in registry.loaded:
        for names in loaded.names().values():
            owners |= dict.fromkeys(names, _who(loaded.source))
    return owners


def _who(source: PluginSource) -> str:
    return f"{source.distribution} {source.version}"


def check_name(name: str, kind: str, owners: Mapping[str, str]) -> None:
    """Raise `UsageError` with the reason and a valid alternative unless the name is valid and free.

    kind: a stage, method, suite, executor or observer. owners: the names in use with their owners.
    """
    if not _WORD.match(name) or len(name) > LONGEST:
        why = "a name is a word in lower case: it starts with a letter and has letters, digits and single underscores"
        if len(name) > LONGEST:
            why = f"it has {len(name)} characters, and at most {LONGEST} are allowed"
    elif keyword.iskeyword(name):
        why = "it is a keyword of Python and cannot name a module"
    elif name in owners:
        why = f"the name is taken by {owners[name]}"
    else:
        return
    raise UsageError(
        f"a new {kind} cannot have the name '{name}'", why=why, fix=f"ltbench new {kind} {_near(name, kind, owners)}"
    )


def _near(name: str, kind: str, owners: Mapping[str, str]) -> str:
    """Return a valid and free name close to `name`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain).lower()
    word = re.sub(r"[^a-z0-9]+", "_", parts).strip("_")[: LONGEST - len(kind) - 4].strip("_")
    if keyword.iskeyword(word):
        word = f"{word}_{kind}"
    if not word[:1].isalpha() or word in owners:
        word = f"my_{word or kind}"
    number, first = 2, word
    while word in owners:
        word, number = f"{first}_{number}", number + 1
    return word


def class_name(name: str) -> str:
    """Return the class name of a technique: `MyLoss` for `my_loss`."""
    return "".join(part.capitalize() for part in name.split("_"))


def import_name(distribution: str) -> str:
    """Return the import name of a distribution; raise `UsageError` if either name is invalid."""
    package = re.sub(r"[-.]+", "_", distribution)
    if not _DISTRIBUTION.match(distribution):
        why = "a name has letters in lower case, digits, and - between them"
    elif not package.isidentifier() or keyword.iskeyword(package):
        why = f"Python cannot import '{package}'"
    elif importlib.util.find_spec(package) is not None:
        why = f"a package '{package}' is already installed"
    else:
        return package
    raise UsageError(f"a new package cannot have the name '{distribution}'", why=why, fix="--package ltbench-my-idea")
