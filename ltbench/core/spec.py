"""Specifications of jobs, their identities, and seeds.

A specification (`spec`) is a plain JSON object of everything that can influence a job, and nothing else; the identity
of the job is its hash. Plans and records use the same function, so anyone can recompute the identity of a record.

The specs:

    technique  {"name", "distribution", "revision", "params": non-default ones only}
    data       {"dataset": technique, "fingerprint", "profile": technique, "imbalance_factor", "subset_seed",
                "held_out": share of each class, or fingerprint of the data set's own validation split; omitted if
                nothing is held out}
    fit        {"kind": "fit", "protocol", "data", "bag": null | {"ensemble": technique, "number"},
                "model": technique, "recipe": {...}, "seed", "segments": [segment, ...],
                and where there is one: "finetune", "head", "branches": technique, "stream": sampler of the branches,
                "teacher": fit; "features": true if it trains on stored features; "selection": {"metric": technique, "number": its name, "best": "highest" | "lowest"} if the
                state after the epoch with the best number on held-out images is taken (kind of the job: select)}
    segment    {"until": fraction, "sampler", "augment": technique | null, "mix": technique | null, "loss",
                "weight": technique | null, "trainable": "all" | "classifier", "restart": bool, "lr_scale",
                "average": "restart" if the recipe averages weights and the segment restarts, else omitted,
                and where there is one: "auxiliary", "update": technique; "augment_first": the augmentation that the
                augmentation follows; "partner": sampler of the mix; "views": augmentations of the auxiliary;
                where it is not the default: "weight_decay_scale", "classifier", "batch_norm", "max_norm"}
    features   {"kind": "features", "protocol", "data": {"dataset": technique, "fingerprint"}, "model": technique,
                "precision", "split": "train" | "test" | "valid", "view": as of a prediction, "part": number}
    predict    {"kind": "predict", "protocol", "fit": key, "split": "test" | "held_out" | "train",
                "view": "identity" | {"technique": technique, "name"}, "features": true or omitted}
    cell       {"kind": "cell", "protocol", "members": [fit key, ...], "view": technique, "posthoc": technique | null,
                "ensemble": technique, "splits": ["held_out"] for a trial of tuning, which never sees test images; omitted
                for the usual splits; "until": fraction at which its trainings are cut short, otherwise omitted}

A fit is a trajectory: its key names the state at the end of its last segment, wherever it was resumed. Two fits whose
segments begin alike pass through the same states, so one can resume from a state of the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ltbench.core.checksums import digest
from ltbench.technique import label_text

PROTOCOL = "ltb1"
"""Version of the results: raised when the same spec would give other numbers."""

Spec = dict[str, Any]

_encode = msgspec.json.Encoder(order="sorted").encode


def canonical(value: object) -> bytes:
    """Return the canonical JSON of a spec, or of any other value: sorted keys, no white space, shortest floats."""
    return _encode(value)


def identity(spec: Mapping[str, Any]) -> str:
    """Return the identity of a spec: the first 32 hex digits of the SHA-256 of its canonical JSON."""
    return digest(_encode(spec), 32)


def label_of(technique: Mapping[str, Any] | None) -> str:
    """Return the command-line notation of a technique's spec: `focal[gamma=1.5]`; empty for None."""
    if not technique:
        return ""
    return label_text(technique["name"], dict(sorted(technique["params"].items())))


def techniques_in(value: object) -> Iterator[Mapping[str, Any]]:
    """Yield the specs of techniques anywhere in a spec or a list of specs."""
    if isinstance(value, Mapping):
        if "revision" in value and "distribution" in value:
            yield value
        for part in value.values():
            yield from techniques_in(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from techniques_in(part)


def stream_seed(seed: int, purpose: str) -> int:
    """Return the seed of one random stream, 63 bits, derived by hash from a seed and a purpose.

    Purposes: init, pool, order, augment, mix, dropout, members, held_out. Each technique draws from its own stream, so switching
    one on leaves the others unchanged, and two combinations of one seed stay paired.
    """
    # 63 bits, as the generator of torch takes a signed 64-bit seed.
    return int(digest(f"ltbench:{seed}:{purpose}".encode(), 16), 16) >> 1


def passes_through(fit: Spec, start: Spec) -> bool:
    """Whether a training passes through the state at the end of another one. fit, start: specs of fits."""
    first, parts = start["segments"], fit["segments"][: len(start["segments"])]
    if fit | {"segments": first} != start or len(parts) < len(first):
        return False
    last, end = first[-1], parts[-1]["until"]
    # The learning rates of a restarted segment depend on its length, so a shorter segment is another training.
    ends_in_it = last["until"] == end or (last["until"] < end and not last["restart"])
    return ends_in_it and [*parts[:-1], parts[-1] | {"until": last["until"]}] == first


def is_partial(cell: Mapping[str, Any]) -> bool:
    """Whether a cell is on no page: a trial of tuning, or the first part of a training. cell: its spec."""
    return "splits" in cell or "until" in cell


def splits_of(cell: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the splits on which a cell has metrics: `test`, and `held_out` if some images are; for a trial the latter alone.

    cell, data: their specs.
    """
    if "splits" in cell:
        return tuple(cell["splits"])
    return ("test", "held_out") if "held_out" in data else ("test",)


def predict_spec(fit: str, view: Mapping[str, Any], name: str, split: str = "test", *, features: bool = False) -> Spec:
    """Return the spec of the prediction of a fit for a split under one view. view: the spec of its technique.

    The identity view belongs to no technique, so that all techniques share its prediction.
    """
    return {
        "kind": "predict",
        "protocol": PROTOCOL,
        "fit": fit,
        "split": split,
        "view": name if name == "identity" else {"technique": view, "name": name},
        **({"features": True} if features else {}),
    }


def prediction_keys(
    cell: Mapping[str, Any], views: Sequence[str], split: str = "test", *, features: bool = False
) -> list[list[str]]:
    """Return the keys of the predictions of a cell for a split, for each of its members in the order of the views.

    cell: its spec; views: names of the views of its technique.
    """
    return [
        [identity(predict_spec(fit, cell["view"], name, split, features=features)) for name in views]
        for fit in cell["members"]
    ]


FEATURE_PARTS = 8
"""Jobs that share the images of a split: job p computes the features of images p, p + 8, and so on."""


def features_specs(fit: Mapping[str, Any], split: str, view: object = "identity") -> list[Spec]:
    """Return the specs of the features of a split under one view, one for each part of the images.

    Features are those of a whole data set, so all subsets share them. fit: a spec of a fit that trains on features; split:
    `train`, `test`, or `valid`, the data set's own validation split; view: as in the spec of a prediction.
    """
    data = fit["data"]
    common = {
        "kind": "features",
        "protocol": PROTOCOL,
        "data": {
            "dataset": data["dataset"],
            "fingerprint": data["held_out"] if split == "valid" else data["fingerprint"],
        },
        "model": fit["model"],
        "precision": fit["recipe"]["precision"],
        "split": split,
        "view": view,
    }
    return [common | {"part": number} for number in range(FEATURE_PARTS)]


def features_of_predict(fit: Mapping[str, Any], predict: Mapping[str, Any]) -> list[Spec]:
    """Return the specs of the features from which a prediction is computed; none if it needs images.

    A held-out share of the subset is among the training images of the data set. fit, predict: their specs.
    """
    if "features" not in fit:
        return []
    split = predict["split"]
    if split == "held_out":
        split = "valid" if isinstance(fit["data"].get("held_out"), str) else "train"
    return features_specs(fit, split, predict["view"])


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A unit of work: creates the artefact or record `key` from `spec` and the artefacts `parents`."""

    key: str
    kind: str
    """features, fit, predict, select or cell"""
    spec: Spec
    parents: tuple[str, ...] = ()
    """Of a prediction, its fit comes first. Those of a fit are the one that it resumes from, or its features."""
    together: str = ""
    """For a fit: a name that it shares with those that can be trained with it in one stack; empty if it trains alone."""
    together_on_gpu: str = ""
    """The same for a fit of images, which only a GPU trains in a stack."""
    keep_state: bool = False
    """For a fit: whether to store optimiser and generators too, because other fits resume from it."""
    renew: bool = False
    """For a cell: whether to derive the metrics that its successful record lacks."""
    extra: Spec = {}
    """Data for records that cannot influence results: for a cell, setting, labels and notes."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Keys that the job reads: its parents, for a cell its fits, whose cost it records, and for a fit its teacher."""
        others = self.spec.get("members", ()) if "teacher" not in self.spec else (identity(self.spec["teacher"]),)
        return tuple(dict.fromkeys((*self.parents, *others)))
