"""Short names of techniques for figures."""

from __future__ import annotations

from collections.abc import Iterable

from ltbench.technique import split_outside


def short_names(labels: Iterable[str]) -> dict[str, str]:
    """Return label -> short name of techniques: without the parameters that all of the same name share.

    Short names are as distinct as the labels; what they leave out is in the tables.

    >>> short_names(["mixup[lam=0.4]", "ens[beta=0.9,normalize=sum]", "ens[normalize=sum]"])
    {'mixup[lam=0.4]': 'mixup', 'ens[beta=0.9,normalize=sum]': 'ens[beta=0.9]', 'ens[normalize=sum]': 'ens'}
    """
    params = {label: _params(label) for label in labels}
    named: dict[str, list[list[str]]] = {}
    for label, own in params.items():
        named.setdefault(label.partition("[")[0], []).append(own)
    short = {}
    for label, own in params.items():
        name = label.partition("[")[0]
        kept = [one for one in own if not all(one in others for others in named[name])]
        short[label] = f"{name}[{','.join(kept)}]" if kept else name
    return short


def _params(label: str) -> list[str]:
    inner = label.partition("[")[2]
    return split_outside(inner.removesuffix("]"), ",") if inner else []
