"""Cells, the specifications of jobs, identity, and seeds.

A specification (`spec`) is a plain JSON object that holds what can influence a job and nothing else; the identity of
the job is a hash of it. The same function computes it for a plan and for a stored record, so whoever holds a record
can recompute its identity from its own text.

The specs:

    technique  {"name", "distribution", "revision", "params": non-default ones only}
    data       {"dataset": technique, "fingerprint", "profile": technique, "imbalance_factor", "subset_seed"}
    fit        {"kind": "fit", "protocol", "data", "bag": null | {"ensemble": technique, "number"},
                "model": technique, "recipe": {...}, "seed", "segments": [segment, ...]}
    segment    {"until": fraction, "sampler", "augment": technique | null, "mix": technique | null, "loss",
                "weight": technique | null, "trainable": "all" | "classifier", "restart": bool, "lr_scale"}
    predict    {"kind": "predict", "protocol", "fit": key, "split": "test", "view": "identity" |
                {"technique": technique, "name"}}
    cell       {"kind": "cell", "protocol", "members": [fit key, ...], "view": technique, "posthoc": technique | null,
                "ensemble": technique}

A fit is a trajectory: its key names the state of the training at the end of its last segment, whatever it was resumed
from. Two fits whose segments begin alike pass through the same states, so one can start from a state of the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ltbench.core.checksums import digest
from ltbench.technique import written

PROTOCOL = "ltb1"
"""Version of what numbers mean: raised when the same spec would give other numbers."""

Spec = dict[str, Any]

_encode = msgspec.json.Encoder(order="sorted").encode


def canonical(value: object) -> bytes:
    """Return the canonical JSON of a spec, or of any other value: sorted keys, no white space, shortest floats."""
    return _encode(value)


def identity(spec: Mapping[str, Any]) -> str:
    """Return the identity of a spec: the first 32 hex digits of the SHA-256 of its canonical JSON."""
    return digest(_encode(spec), 32)


def label_of(technique: Mapping[str, Any] | None) -> str:
    """Return how the technique of a spec is written on a command line: `focal[gamma=1.5]`; empty for none."""
    if not technique:
        return ""
    params = ",".join(f"{key}={written(value)}" for key, value in sorted(technique["params"].items()))
    return f"{technique['name']}[{params}]" if params else str(technique["name"])


def stream_seed(seed: int, purpose: str) -> int:
    """Return the seed of one random stream, 63 bits, derived by hash from a seed and a purpose.

    Purposes: init, pool, order, augment, mix, dropout, members. A technique that is switched on draws from its own
    stream, so every other stream is as it was and two combinations of one seed stay paired.
    """
    return int(digest(f"ltbench:{seed}:{purpose}".encode(), 16), 16) >> 1


def predict_spec(fit: str, view: Mapping[str, Any], name: str) -> Spec:
    """Return the spec of the prediction of a fit under one view. view: the spec of the technique that has it.

    The image as it is belongs to nobody, so that every technique that looks at it shares its prediction.
    """
    owned = {"technique": view, "name": name}
    return {
        "kind": "predict",
        "protocol": PROTOCOL,
        "fit": fit,
        "split": "test",
        "view": name if name == "identity" else owned,
    }


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work: makes the artefact `key` from `spec` and the artefacts `parents`."""

    key: str
    kind: str
    """fit, predict or cell"""
    spec: Spec
    parents: tuple[str, ...] = ()
    keep_state: bool = False
    """For a fit: whether other fits go on from it, so that optimiser and generators are stored too."""
    extra: Spec = {}
    """What the job records and what cannot influence its numbers: for a cell, its setting, labels and notes."""

    @property
    def reads(self) -> tuple[str, ...]:
        """What has to be in the store for the job: its parents, and for a cell its fits, whose costs it records."""
        return tuple(dict.fromkeys((*self.parents, *self.spec.get("members", ()))))
