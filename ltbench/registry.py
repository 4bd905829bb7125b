"""Discovery of plugins: which techniques there are, who offers them, and what could not be loaded.

The only module that touches pluggy's manager. Every plugin is loaded alone: one that fails to import or to register
is remembered as broken, with its error, and takes nothing else down.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.metadata
import importlib.util
import traceback
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pluggy

import ltbench
from ltbench import hookspecs
from ltbench.discovery import (
    BUILT_IN,
    GROUP,
    Broken,
    Entry,
    Origin,
    Source,
    check_class,
    distribution_of,
    import_file,
    source_digest,
)
from ltbench.errors import PluginError, UnknownName, UsageError, nearest
from ltbench.executors import offers
from ltbench.executors.offers import ExecutorOffer
from ltbench.hookspecs import Family
from ltbench.selection import parse_selection
from ltbench.stages import STAGES, Technique

_STAGE_OF_HOOK = {stage.hook: stage for stage in STAGES.values()}
_OTHER_HOOKS = ("ltbench_suites", "ltbench_families", "ltbench_executors")


def _entry(technique: type[Technique], source: Source) -> Entry:
    return Entry(technique=technique, **msgspec.structs.asdict(source))


class UnknownTechnique(PluginError):
    """A technique that no plugin offers (exit code 4)."""


class Registry:
    """Every technique and suite that is installed, by stage and name."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.entries: dict[str, Entry] = {}
        self.suites: dict[str, Path] = {}
        self.broken: list[Broken] = []
        self.families: list[tuple[Source, Family]] = []
        self.executors: dict[str, tuple[Source, type[ExecutorOffer]]] = {}
        self._made: dict[str, Entry] = {}
        self._clashes: dict[str, list[str]] = {}
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)

    @classmethod
    def load(cls, plugin_files: Sequence[str | Path] = (), *, disabled: Iterable[str] = ()) -> Registry:
        """Load every installed plugin but the disabled ones, then the given files.

        Raises `PluginError` where a file asked for is missing or broken; an installed plugin that is broken is
        listed in `broken` instead.
        """
        return cls.load_origin(
            Origin(
                plugin_files=tuple(str(Path(f).resolve()) for f in plugin_files),
                disabled=tuple(sorted(disabled)),
            )
        )

    @classmethod
    def load_origin(cls, origin: Origin) -> Registry:
        """Load what `origin` says, as another process did."""
        registry = cls(origin)
        own = Source(plugin="executors", distribution=BUILT_IN, version=ltbench.__version__)
        registry._add(own, offers)
        points = importlib.metadata.entry_points(group=GROUP)
        about = cache(distribution_of)
        found = [(about(point.dist), point) for point in points]
        # Built-ins come first, so that their names are taken when others register.
        found.sort(key=lambda item: (item[0][0] != BUILT_IN, item[0][0], item[1].name))
        for (distribution, version), point in found:
            if point.name in origin.disabled:
                continue
            source = Source(plugin=point.name, distribution=distribution, version=version)
            registry._try(source, point.load)
        for file in origin.plugin_files:
            registry._add_file(Path(file))
        return registry

    def _try(self, source: Source, load: Any) -> None:
        try:
            self._add(source, load())
        except Exception as error:  # noqa: BLE001 - whatever a plugin does wrong stays its own
            text = error.what if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
            self.broken.append(
                Broken(
                    plugin=source.plugin,
                    distribution=source.distribution,
                    version=source.version,
                    error=text,
                    log=traceback.format_exc(),
                )
            )

    def _add_file(self, path: Path) -> None:
        if not path.is_file():
            raise PluginError(f"there is no plugin file {path}", fix="check the path given to --plugin-file")
        text = path.read_bytes()
        digest = hashlib.sha256(text).hexdigest()[:12]
        source = Source(plugin=path.stem, distribution=f"file:{path.stem}", version=digest)
        before = len(self.broken)
        self._try(source, lambda: import_file(path))
        if len(self.broken) > before:
            raise PluginError(
                f"plugin file {path.name} cannot be used", where=str(path), why=self.broken[-1].error,
                fix="mend the file; ltbench show NAME prints a built-in technique of the same stage",
            )  # fmt: skip

    def _add(self, source: Source, module: object) -> None:
        """Register one plugin whole or not at all."""
        name = f"{source.distribution}/{source.plugin}"
        self._manager.register(module, name=name)
        try:
            techniques, suites, families, executors = self._offered(module, source)
        except BaseException:
            self._manager.unregister(module)
            raise
        self.entries.update(techniques)
        self.suites.update(suites)
        self.families += [(source, family) for family in families]
        self.executors |= {offer.name: (source, offer) for offer in executors}

    def _offered(
        self, module: object, source: Source
    ) -> tuple[dict[str, Entry], dict[str, Path], list[Family], list[type[ExecutorOffer]]]:
        techniques: dict[str, Entry] = {}
        suites: dict[str, Path] = {}
        families: list[Family] = []
        executors: list[type[ExecutorOffer]] = []
        callers = self._manager.get_hookcallers(module) or []
        if not callers:
            raise PluginError("it implements no hook of ltbench; is @hookimpl missing?")
        for caller in callers:
            if not caller.has_spec():
                near = nearest(caller.name, [*_STAGE_OF_HOOK, *_OTHER_HOOKS])
                raise PluginError(f"there is no hook '{caller.name}'" + (f"; did you mean {near[0]}?" if near else ""))
            impl = next(i for i in caller.get_hookimpls() if i.plugin is module)
            offered: Any = impl.function()
            if caller.name == "ltbench_suites":
                suites |= {Path(p).stem: Path(p) for p in offered}
            elif caller.name == "ltbench_families":
                families += offered
            elif caller.name == "ltbench_executors":
                for offer in offered:
                    check_class(offer, caller.name, ExecutorOffer, "executor")
                    self._check_executor_free(offer.name, source)
                executors += offered
            else:
                for technique in offered:
                    self._check(technique, caller.name)
                    self._check_free(technique.name, source)
                    techniques[technique.name] = _entry(technique, source)
        return techniques, suites, families, executors

    @staticmethod
    def _check(technique: object, hook: str) -> None:
        stage = _STAGE_OF_HOOK[hook]
        check_class(technique, hook, stage.base, stage.name)

    def _check_executor_free(self, name: str, source: Source) -> None:
        taken = self.executors.get(name)
        if taken is not None:
            raise PluginError(f"its executor '{name}' has the name of one of {taken[0].distribution}; choose another")

    def _check_free(self, name: str, source: Source) -> None:
        taken = self.entries.get(name)
        if taken is None and name not in self._clashes:
            return
        if taken is not None and taken.distribution == BUILT_IN:
            raise PluginError(f"its technique '{name}' has the name of a built-in; choose another name")
        owners = self._clashes.setdefault(name, [])
        if taken is not None:
            owners.append(f"{taken.distribution} {taken.version}")
            del self.entries[name]
        owners.append(f"{source.distribution} {source.version}")
        raise PluginError(f"technique '{name}' is offered by {' and '.join(owners)}; both are off")

    # --- asking --------------------------------------------------------------------------------------------------

    def of(self, stage: str) -> dict[str, type[Technique]]:
        """Return the techniques of a stage by name, sorted."""
        return {name: entry.technique for name, entry in sorted(self.entries.items()) if entry.technique.stage == stage}

    def entry(self, name: str) -> Entry:
        """Return who offers `name`; raise `UnknownTechnique` or, where its plugin is off, `PluginError`."""
        if entry := self.entries.get(name):
            return entry
        self._blame(name, "technique")
        if entry := self._make(name):
            return entry
        members = [member for _, family in self.families for member in family.names()]
        # A library has a name like almost anything: its members are meant where they are all but the same.
        known = [*self.entries, *difflib.get_close_matches(name, members, cutoff=0.85)]
        like = UnknownName.of("technique", name, known)
        raise UnknownTechnique(like.what, fix=f"{like.fix} (ltbench list shows all)")

    def _blame(self, name: str, kind: str) -> None:
        """Raise `PluginError` where a broken plugin is the one that offers `name`."""
        for broken in self.broken:
            if name == broken.plugin or f"'{name}'" in broken.error:
                raise PluginError(
                    f"{kind} '{name}' is asked for and its plugin is broken",
                    where=f"{broken.distribution} {broken.version}",
                    why=broken.error,
                    fix="ltbench doctor",
                )

    def _make(self, name: str) -> Entry | None:
        """Return the technique of that name as a family makes it; None where no family has it."""
        for source, family in self.families:
            if name not in self._made and name in family.names():
                technique = family.technique(name)
                self._check(technique, STAGES[technique.stage].hook)
                self._made[name] = _entry(technique, source)
        return self._made.get(name)

    def parse_all(self, text: str) -> list[Technique]:
        """Return the techniques written in `text`: `a,b[x=1],c[y=1,2]`; a sweep is several techniques."""
        return [
            self.entry(choice.name).technique.parse(params)
            for choice in parse_selection(text)
            for params in choice.expanded()
        ]

    def parse(self, text: str, stage: str = "") -> Technique:
        """Return the one technique written in `text`, of `stage` where that is given."""
        found = self.parse_all(text)
        if len(found) != 1:
            raise UsageError(f"'{text}' is {len(found)} techniques where one is expected")
        if stage and found[0].stage != stage:
            raise UsageError(f"'{text}' is a {found[0].stage}, and a {stage} is expected here")
        return found[0]

    def executor(self, text: str) -> ExecutorOffer:
        """Return the executor that is written in `text`, with its options."""
        choices = parse_selection(text)
        for choice in choices:
            if choice.name not in self.executors:
                self._blame(choice.name, "executor")
                raise UnknownName.of("executor", choice.name, self.executors)
        found = [(choice.name, params) for choice in choices for params in choice.expanded()]
        if len(found) != 1:
            raise UsageError(f"'{text}' is {len(found)} executors where one is expected",
                             fix="a list is written with + between its parts")  # fmt: skip
        ((name, params),) = found
        return self.executors[name][1].parse(params)

    def baseline(self, stage: str) -> Technique | None:
        """Return what a stage does when a combination picks nothing there; None for nothing at all."""
        return next((t() for t in self.of(stage).values() if t.baseline), None)

    def spec(self, technique: Technique) -> dict[str, Any]:
        """Return the part of a technique that enters identity."""
        return {
            "name": technique.name,
            "distribution": self.entry(technique.name).distribution,
            "revision": technique.revision,
            "params": technique.params,
        }

    def build(self, spec: Mapping[str, Any]) -> Technique:
        """Return the technique that a spec describes; `PluginError` where its plugin is gone or differs."""
        entry = self.entry(spec["name"])
        if entry.distribution != spec["distribution"] or entry.technique.revision != spec["revision"]:
            raise PluginError(
                f"technique '{spec['name']}' is asked for as {spec['distribution']} revision {spec['revision']}, and "
                f"{entry.distribution} revision {entry.technique.revision} is installed",
                fix="install the version that made it",
            )
        return entry.technique.parse(spec["params"])

    def provenance(self, technique: Technique) -> dict[str, Any]:
        """Return who made a technique, for records: nothing of it enters identity but the revision."""
        entry = self.entry(technique.name)
        return {
            "name": technique.name,
            "stage": technique.stage,
            "distribution": entry.distribution,
            "version": entry.version,
            "revision": technique.revision,
            "source": source_digest(type(technique)),
        }
