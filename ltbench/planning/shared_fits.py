"""Fits that begin alike share their beginning: from trainings to a chain of states.

A fit is a trajectory through the states of a training, and its key names the state at its end. Whatever another fit
passes through on the way can be gone on from.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Hashable, Mapping
from typing import Any

from ltbench.core.spec import Job, Spec, canonical, identity


class Keys:
    """The keys of fits, each worked out once, and which fit goes on from which.

    The text of a fit is long, and a plan asks for its key in every part and from every fit that goes on from it. Plans
    make fits of few pieces, so a fit is known here by two numbers: its *line*, which is its segments, and its *base*,
    which is all the rest. Pieces that say the same have the same number; none may change once it was seen.
    """

    def __init__(self) -> None:
        self._seen: dict[int, tuple[object, int]] = {}
        """Numbers by `id`, with the object itself, so that no other one gets its `id`."""
        self._numbers: dict[Hashable, int] = {}
        self._lines: dict[int, list[Spec]] = {}
        self._pieces: dict[int, tuple[int, ...]] = {}
        self._lanes: dict[int, int] = {}
        self._keys: dict[int, bytes] = {}
        self._chains: dict[frozenset[int], tuple[tuple[int, ...], dict[int, int]]] = {}

    def base(self, fit: Spec) -> int:
        """Return the number of everything but the segments of a fit."""
        return self._number(
            (self._piece(fit["data"]), self._piece(fit["bag"]), self._piece(fit["model"]), self._piece(fit["recipe"]),
             fit["seed"], fit["protocol"])
        )  # fmt: skip

    def line(self, segments: list[Spec]) -> int:
        """Return the number of the segments of a fit."""
        found = self._seen.get(id(segments))
        if found is None:
            pieces = tuple([self._piece(segment) for segment in segments])
            found = self._seen[id(segments)] = segments, self._number(("line", pieces))
            self._lines.setdefault(found[1], segments)
            self._pieces.setdefault(found[1], pieces)
        return found[1]

    def segments(self, line: int) -> list[Spec]:
        """Return the segments that have a number."""
        return self._lines[line]

    def key(self, fit: Spec, base: int | None = None, line: int | None = None) -> str:
        """Return the identity of a fit. base, line: its numbers, where they are known."""
        base = self.base(fit) if base is None else base
        short = base << 32 | (self.line(fit["segments"]) if line is None else line)
        found = self._keys.get(short)
        if found is None:
            found = self._keys[short] = bytes.fromhex(identity(fit))
        return found.hex()

    def lane(self, segment: Spec) -> int:
        """Return a number that two segments share where the shorter one is the beginning of the longer one."""
        number = self._piece(segment)
        if number not in self._lanes:
            self._lanes[number] = self._number(("lane", canonical(lane_of(segment))))
        return self._lanes[number]

    def chained(self, lines: frozenset[int]) -> tuple[tuple[int, ...], dict[int, int]]:
        """Return the lines of all states that fits of one base pass through, in order, and what each goes on from.

        A segment that does not begin the learning-rate curve anew may be cut where another fit leaves it, so that the
        two share what comes before.
        """
        if lines not in self._chains:
            through = {number: None for line in sorted(lines) for number in (*self._prefixes(line), line)}
            # States inside one segment of one trajectory, by where they are.
            lanes: dict[tuple[int, ...], list[tuple[float, int]]] = {}
            for line in through:
                last = self._lines[line][-1]
                lane = (*self._pieces[line][:-1], self.lane(last))
                lanes.setdefault(lane, []).append((last["until"], line))
            before: dict[int, int] = {}
            for stops in map(sorted, lanes.values()):
                (_, first), *_ = stops
                if prefixes := self._prefixes(first):
                    before[first] = prefixes[-1]
                before |= {after: earlier for (_, earlier), (_, after) in itertools.pairwise(stops)}
            order = sorted(through, key=lambda line: (len(self._lines[line]), self._lines[line][-1]["until"]))
            self._chains[lines] = tuple(order), before
        return self._chains[lines]

    def _prefixes(self, line: int) -> list[int]:
        segments = self._lines[line]
        return [self.line(segments[:n]) for n in range(1, len(segments))]

    def _piece(self, piece: Spec | None) -> int:
        found = self._seen.get(id(piece))
        if found is None:
            found = self._seen[id(piece)] = piece, self._number(canonical(piece or {}))
        return found[1]

    def _number(self, what: Hashable) -> int:
        return self._numbers.setdefault(what, len(self._numbers))


def chain_fits(fits: Mapping[str, Spec]) -> dict[str, Job]:
    """Return a job for each fit and for each state on the way to it, each going on from the nearest earlier state.

    Fits whose segments begin alike pass through the same states.
    """
    keys = Keys()
    lines: dict[int, set[int]] = {}
    for spec in fits.values():
        lines.setdefault(keys.base(spec), set()).add(keys.line(spec["segments"]))
    return chain_lines(lines, {keys.base(spec): spec for spec in fits.values()}, keys)


def chain_lines(lines: Mapping[int, Collection[int]], one: Mapping[int, Spec], keys: Keys) -> dict[str, Job]:
    """Return what `chain_fits` does for fits that are known by their numbers.

    lines: those of each base; one: any fit of each base; keys: what the numbers are from.
    """
    jobs: dict[str, Job] = {}
    for base, mine in lines.items():
        states, before = keys.chained(frozenset(mine))
        resumed = set(before.values())
        named: dict[int, str] = {}
        for line in states:
            spec = one[base] | {"segments": keys.segments(line)}
            named[line] = key = keys.key(spec, base, line)
            jobs[key] = Job(
                key=key,
                kind="fit",
                spec=spec,
                parents=(named[before[line]],) if line in before else (),
                keep_state=line in resumed,
            )
    return jobs


def lane_of(segment: Mapping[str, Any]) -> Spec:
    """Return what two segments have in common where the shorter one is the beginning of the longer one."""
    # A restarted segment has a learning-rate curve over its own span: another end is another curve.
    return dict(segment) if segment["restart"] else {k: v for k, v in segment.items() if k != "until"}


def ancestors(key: str, jobs: Mapping[str, Job]) -> list[Job]:
    """Return the fits that `key` goes on from, the first one first, and the fit itself last."""
    line = [jobs[key]]
    while line[0].parents:
        line.insert(0, jobs[line[0].parents[0]])
    return line
