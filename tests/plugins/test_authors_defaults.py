"""The defaults of techniques are the values of the papers or of the authors' code, named by technique and parameter."""

from __future__ import annotations

import pytest

from ltbench.registry.registry import Registry

DEFAULTS = {
    "power_sampler": {"q": 0.75},
    "cutout": {"share": 0.5},
    "randaugment": {"operations": 2, "level": 9},
    "cuda": {"chance": 0.5, "tests": 10, "accept": 0.6},
    "simaugment": {"scale": 0.2, "jitter": 0.4, "hue": 0.1, "grey": 0.2},
    "mixup": {"alpha": 0.4, "per_batch": False},
    "cutmix": {"alpha": 1.0},
    "remix": {"kappa": 3.0, "tau": 0.5, "alpha": 1.0},
    "mamix": {"omega": 0.25, "alpha": 1.0},
    "cmo": {"chance": 0.5, "alpha": 1.0, "first": 4, "last": 3},
    "manifold_mixup": {"alpha": 2.0, "per_batch": True},
    "unimix": {"alpha": 0.8},
    "ldam": {"max_margin": 0.5},
    "ride_loss": {"max_margin": 0.5, "scale": 30.0},
    "ride_diversity": {"weight": -0.2},
    "focal": {"gamma": 2.0},
    "seesaw": {"p": 0.8, "q": 2.0},
    "equalization": {"gamma": 0.9},
    "equalization_v2": {"gamma": 12.0, "mu": 0.8, "alpha": 4.0},
    "label_aware_smooth": {"head": 0.4, "tail": 0.1, "shape": "concave"},
    "influence_balanced": {"alpha": 1000.0, "start": 0.5},
    "asymmetric": {"gamma_pos": 1.0, "gamma_neg": 4.0, "eps": 0.1},
    "poly1": {"epsilon": 1.0},
    "vs": {"gamma": 0.15, "tau": 1.25},
    "sade_loss": {"tau": 2.0},
    "balpoe_loss": {"low": 0.0, "high": 2.0},
    "ens": {"beta": 0.9999},
    "lade": {"weight": 0.1, "remine_lambda": 0.01},
    "supcon": {"temperature": 0.1},
    "kcl": {"k": 6},
    "tsc": {"k": 6},
    "paco": {"queue": 1024, "temperature": 0.05, "dimension": 32, "alpha": 0.01, "beta": 1.0, "gamma": 1.0},
    "dive": {"temperature": 3.0, "power": 0.5, "alpha": 0.5},
    "drw": {"at": 0.8},
    "drs": {"at": 0.8},
    "mislas_stage2": {"until": 1.05, "head": 0.4, "tail": 0.1, "shift_bn": True},
    "weight_balancing": {"max_norm": 0.1, "until": 1 + 10 / 320},
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_are_those_of_the_authors(name: str, registry: Registry) -> None:
    technique = registry.entry(name).technique()
    assert {key: getattr(technique, key) for key in DEFAULTS[name]} == DEFAULTS[name]
