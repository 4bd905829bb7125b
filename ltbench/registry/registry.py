"""The registry: every technique, method, suite and executor by name, with its plugin."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ltbench.core.checksums import digest
from ltbench.core.plugins import BUILT_IN, Entry, PluginOrigin, PluginSource
from ltbench.core.words import with_article
from ltbench.errors import JobFailed, LtbenchError, PluginError, UnknownName, UsageError, nearest
from ltbench.executor import ExecutorOffer
from ltbench.hookspecs import Family
from ltbench.method import Method
from ltbench.observer import ObserverOffer
from ltbench.registry.discovery import Broken, import_file
from ltbench.registry.entry_points import installed
from ltbench.registry.families import families_of, without_members
from ltbench.registry.loading import Loaded, Loader, check_technique
from ltbench.registry.notation import TechniqueText, parse_selection
from ltbench.registry.offers import constructed, parsed_offer, single
from ltbench.registry.source_digest import source_digest
from ltbench.stages import STAGES, Technique
from ltbench.technique import QuotedText

T = TypeVar("T", bound=Technique)


class UnknownTechnique(PluginError):
    """A technique that no plugin provides (exit code 4)."""


class Registry:
    """Every installed technique, suite and executor by name.

    Built-in names are reserved. A name that several third-party plugins provide must be written `distribution/name`.
    """

    def __init__(self, origin: PluginOrigin) -> None:
        self.origin = origin
        self.entries: dict[str, Entry] = {}
        self.suites: dict[str, Path] = {}
        self.broken: list[Broken] = []
        self.loaded: list[Loaded] = []
        self.clashes: dict[str, list[Entry]] = {}
        """Techniques with the same name from several third-party plugins."""
        self.families: list[tuple[PluginSource, Family]] = []
        self.executors: dict[str, tuple[PluginSource, type[ExecutorOffer]]] = {}
        self.observers: dict[str, tuple[PluginSource, type[ObserverOffer]]] = {}
        self.suite_sources: dict[str, PluginSource] = {}
        self.methods: dict[str, Method] = {}
        self.method_sources: dict[str, PluginSource] = {}
        self._family_entries: dict[str, Entry] = {}
        self._by_class: dict[type[Technique], Entry] = {}
        self._loader = Loader()

    @classmethod
    def load(cls, origin: PluginOrigin | None = None) -> Registry:
        """Load the plugins of `origin`, by default all installed ones.

        Raises `PluginError` if a named plugin is missing or broken; other broken plugins are listed in `broken`.
        """
        origin = origin or PluginOrigin()
        registry = cls(origin)
        for source, load in installed():
            if origin.has(source):
                registry.add(source, load)
        for module in origin.modules:
            registry._add_named(module, f"module:{module}", module, partial(importlib.import_module, module))
        for file in map(Path, origin.plugin_files):
            if not file.is_file():
                raise PluginError(f"there is no plugin file {file}", fix="check the path given to --plugin-file or -p")
            registry._add_named(file.stem, f"file:{file.stem}", str(file), partial(import_file, file))
        return registry

    def _add_named(self, plugin: str, distribution: str, where: str, load: Callable[[], object]) -> None:
        file = importlib.util.find_spec(where).origin if distribution.startswith("module:") else where  # type: ignore[union-attr]
        # A file has no version, so a digest of its content is used in records and in the check of workers.
        version = digest(Path(file).read_bytes(), 12) if file else ""
        source = PluginSource(plugin=plugin.rpartition(".")[2], distribution=distribution, version=version)
        broken = self.add(source, load)
        if broken:
            raise PluginError(
                f"plugin {distribution.replace(':', ' ')} cannot be loaded", where=where, why=broken.error,
                fix=broken.fix or "fix the plugin; docs/stages/ has an example for every stage",
            )  # fmt: skip

    def add(self, source: PluginSource, module: Callable[[], object]) -> Broken | None:
        """Load one plugin completely or not at all; return the error, if any."""
        loaded = self._loader.load(source, module)
        if isinstance(loaded, Loaded):
            try:
                self._register(loaded)
            except PluginError as error:
                loaded = Broken.by(error, source)
        if isinstance(loaded, Broken):
            self.broken.append(loaded)
            return loaded
        self.loaded.append(loaded)
        return None

    def _register(self, loaded: Loaded) -> None:
        source = loaded.source
        owners: dict[str, dict[str, str]] = {
            "technique": {name: entry.distribution for name, entry in self.entries.items()},
            "executor": {name: owner.distribution for name, (owner, _) in self.executors.items()},
            "observer": {name: owner.distribution for name, (owner, _) in self.observers.items()},
            "suite": {name: owner.distribution for name, owner in self.suite_sources.items()},
        }
        # Techniques and methods are written in the same places.
        methods = {name: owner.distribution for name, owner in self.method_sources.items()}
        owners["method"] = owners["technique"] | dict.fromkeys(self.clashes, "several plugins") | methods
        for kind, names in loaded.names().items():
            for name in names:
                if kind == "technique" and name in methods:
                    raise PluginError(f"its technique '{name}' has the same name as a method of {methods[name]}")
                owner = owners[kind].get(name)
                # Two third-party plugins may provide techniques with one name; the distribution distinguishes them.
                if owner == BUILT_IN or (owner and (kind != "technique" or owner == source.distribution)):
                    whose = "a built-in one" if owner == BUILT_IN else f"another one of {owner}"
                    raise PluginError(f"its {kind} '{name}' has the same name as {whose}; choose another name")
        for technique in loaded.techniques:
            self._register_technique(Entry(technique=technique, **msgspec.structs.asdict(source)))
        self.suites |= {path.stem: path for path in loaded.suites}
        self.methods |= {method.name: method for method in loaded.methods}
        self.method_sources |= {method.name: source for method in loaded.methods}
        self.suite_sources |= {path.stem: source for path in loaded.suites}
        self.families += [(source, family) for family in loaded.families]
        self.executors |= {offer.name: (source, offer) for offer in loaded.executors}
        self.observers |= {offer.name: (source, offer) for offer in loaded.observers}

    def _register_technique(self, entry: Entry) -> None:
        name = entry.technique.name
        self._by_class[entry.technique] = entry
        entry.technique.qualified = ""  # another registry may have set it
        if name not in self.entries and name not in self.clashes:
            self.entries[name] = entry
            return
        clash = self.clashes.setdefault(name, [self.entries.pop(name)] if name in self.entries else [])
        clash.append(entry)
        for clashing in clash:
            clashing.technique.qualified = f"{clashing.distribution}/{name}"

    # --- look-up -------------------------------------------------------------------------------------------------

    def of(self, stage: str) -> dict[str, type[Technique]]:
        """Return the techniques of a stage by name, sorted."""
        return {name: entry.technique for name, entry in sorted(self.entries.items()) if entry.technique.stage == stage}

    def entry(self, name: str, distribution: str = "") -> Entry:
        """Return the entry of `name`, which may be written `distribution/name`.

        distribution: the one that is meant if several provide the name. Raises `UnknownTechnique`, or `PluginError` if its
        plugin is broken, or if several provide the name and none is meant.
        """
        if entry := self.entries.get(name):
            return entry
        if distribution and (entry := self._in_distribution(name, distribution)):
            return entry
        distribution, _, bare = name.rpartition("/")
        if distribution and (entry := self._in_distribution(bare, distribution)):
            return entry
        if clash := self.clashes.get(name):
            owners = [f"{entry.distribution} {entry.version}" for entry in clash]
            raise PluginError(
                f"technique '{name}' is provided by {' and '.join(owners)}, so the name is ambiguous",
                fix=f"write {' or '.join(f'{entry.distribution}/{name}' for entry in clash)}, or leave one out with "
                    f"-p no:{clash[-1].plugin}",
            )  # fmt: skip
        self._raise_if_broken(name, "technique")
        if entry := self._from_family(name):
            return entry
        if families := families_of(name, self.families):
            raise UnknownTechnique(
                f"'{name}' is a family of {sum(len(family.names()) for _, family in families):,} techniques; expected one",
                fix=f"write the name of a member; ltbench show {name} lists them",
            )
        if name in self.methods:
            raise UnknownTechnique(
                f"'{name}' is a method; expected a technique", fix=f"its parts: {', '.join(self.methods[name].parts)}"
            )
        if name in STAGES:
            raise UnknownTechnique(f"'{name}' is a stage; expected a technique", fix=f"ltbench list {name}")
        # Names as written by other tools: timm/resnet18, resnet18.a1_in1k.
        parts = [part for part in re.split(r"[/.:]", name) if part != name and self._is_known(part)]
        if parts:
            raise UnknownTechnique(
                f"unknown technique '{name}'", fix=f"did you mean {parts[0]}? (ltbench show {parts[0]})"
            )
        members = [member for _, family in self.families for member in family.names()]
        # A large family resembles almost any name, so only very close members are suggested.
        known = [*self.entries, *self.methods, *difflib.get_close_matches(name, members, cutoff=0.85)]
        unknown = UnknownName.of("technique", name, known)
        fix = f"{unknown.fix} (ltbench list shows all)" if nearest(name, known) else "ltbench list shows all"
        raise UnknownTechnique(unknown.what, why=without_members(self.families), fix=fix)

    def _is_known(self, name: str) -> bool:
        return (
            name in self.entries or name in self.methods or any(name in family.names() for _, family in self.families)
        )

    def _in_distribution(self, name: str, distribution: str) -> Entry | None:
        """Return the technique of that name in a distribution."""
        entries = (*self.clashes.get(name, ()), self.entries.get(name) or self._from_family(name))
        return next((entry for entry in entries if entry and entry.distribution == distribution), None)

    def entry_of(self, technique: Technique) -> Entry:
        """Return the entry of a technique."""
        return self._by_class.get(type(technique)) or self.entry(technique.name)

    def _raise_if_broken(self, name: str, kind: str) -> None:
        """Raise `PluginError` if a broken plugin offers `name`."""
        for broken in self.broken:
            if name == broken.plugin or f"'{name}'" in broken.error:
                where = f"{broken.distribution} {broken.version}"
                raise PluginError(f"the plugin of {kind} '{name}' is broken", where=where, why=broken.error,
                                  fix="ltbench doctor")  # fmt: skip

    def _from_family(self, name: str) -> Entry | None:
        """Return the technique of that name from a family; None if no family has it."""
        for source, family in self.families:
            if name not in self._family_entries and name in family.names():
                technique = family.technique(name)
                check_technique(technique, STAGES[technique.stage].hook)
                self._family_entries[name] = Entry(technique=technique, **msgspec.structs.asdict(source))
        return self._family_entries.get(name)

    def parse_all(self, text: str) -> list[Technique]:
        """Return the techniques written in `text`: `a,b[x=1],c[y=1,2]`; a sweep is several, a method its parts."""
        return [technique for choice in parse_selection(text) for technique in self._parsed(choice)]

    def _parsed(self, choice: TechniqueText) -> list[Technique]:
        method = self.methods.get(choice.name)
        if method is None:
            entry = self.entry(choice.name)
            return [constructed(entry.technique, params, entry) for params in choice.expanded()]
        if choice.params:
            raise UsageError(f"method '{method.name}' has no parameters",
                             fix=f"write its parts: {','.join(method.parts)}")  # fmt: skip
        try:
            return [self.parse(part) for part in method.parts]
        except LtbenchError as error:
            source = self.method_sources[method.name]
            raise PluginError(f"method '{method.name}' cannot be used: {error.what}", why=error.why, fix=error.fix,
                              where=f"{source.distribution} {source.version}") from None  # fmt: skip

    def parse(self, text: str, stage: str = "") -> Technique:
        """Return the single technique written in `text`; `stage`, if given, is enforced."""
        if (method := self.methods.get(text.strip())) is not None:
            raise UsageError(f"'{text}' is a method of {len(method.parts)} techniques; expected one technique",
                             fix=f"write one of its parts, or all where several can be: {','.join(method.parts)}")  # fmt: skip
        technique = single(self.parse_all(text), text, "technique")
        if stage and technique.stage != stage:
            raise UsageError(f"'{text}' is {with_article(technique.stage)}; expected {with_article(stage)}")
        return technique

    def executor(self, text: str) -> ExecutorOffer:
        """Return the executor written in `text` with its options."""
        return parsed_offer(text, "executor", self.executors, self._raise_if_broken)

    def observer(self, text: str) -> ObserverOffer:
        """Return the observer written in `text` with its options."""
        return parsed_offer(text, "observer", self.observers, self._raise_if_broken)

    def baseline(self, stage: str) -> Technique | None:
        """Return the default technique of a stage; None if the stage then does nothing."""
        return next((t() for t in self.of(stage).values() if t.baseline), None)

    def spec(self, technique: Technique) -> dict[str, Any]:
        """Return the part of a technique that enters identities."""
        return {
            "name": technique.name,
            "distribution": self.entry_of(technique).distribution,
            "revision": technique.revision,
            "params": technique.params,
        }

    def build(self, spec: Mapping[str, Any]) -> Technique:
        """Return the technique of a spec. Raises `PluginError` if its plugin is missing or has another revision."""
        entry = self.entry(spec["name"], spec["distribution"])
        if entry.distribution != spec["distribution"] or entry.technique.revision != spec["revision"]:
            raise PluginError(
                f"technique '{spec['name']}' is needed from {spec['distribution']} revision {spec['revision']}, but "
                f"{entry.distribution} revision {entry.technique.revision} is installed",
                fix="install the version with that revision",
            )
        # A string in a spec is a string; only on a command line it may be a number or a list.
        texts = {key: QuotedText(value) for key, value in spec["params"].items() if isinstance(value, str)}
        return entry.technique.parse({**spec["params"], **texts})

    def provenance(self, technique: Technique) -> dict[str, Any]:
        """Return the provenance of a technique for records; only its revision enters identities."""
        entry = self.entry_of(technique)
        return {
            "name": technique.name,
            "stage": technique.stage,
            "distribution": entry.distribution,
            "version": entry.version,
            "revision": technique.revision,
            "source": source_digest(type(technique)),
        }

    def build_as(self, spec: Mapping[str, Any], kind: type[T]) -> T:
        """Return the technique of a spec. Raises `JobFailed` unless it is of the expected stage."""
        technique = self.build(spec)
        if not isinstance(technique, kind):
            raise JobFailed(
                f"'{technique.name}' is {with_article(technique.stage)}; expected {with_article(kind.stage)}"
            )
        return technique
