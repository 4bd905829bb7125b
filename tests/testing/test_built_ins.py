"""Every built-in technique under the checks that anyone's has to pass."""

from __future__ import annotations

import pytest

from ltbench.core.plugins import BUILT_IN
from ltbench.registry.registry import Registry
from ltbench.testing import conformance
from ltbench.testing.checks_by_stage import of_stage

BUILT_INS = {name: entry.technique for name, entry in Registry.load().entries.items() if entry.distribution == BUILT_IN}
SLOW = (
    "cnn_cifar", "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "resnet32", "resnet44", "resnet56",
)  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in BUILT_INS]
)
def test_a_built_in_technique_passes(name: str, registry, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LTBENCH_DATA", str(tmp_path))
    technique = BUILT_INS[name]
    found = conformance(technique, registry)
    assert [str(finding) for finding in found if finding.state == "failed"] == []
    assert {finding.check for finding in found} == {
        check.name for check in of_stage(technique.stage) if check.per != "parameter" or technique.__struct_fields__
    }
    if missing := [finding.text for finding in found if finding.text.startswith("its files are missing")]:
        pytest.skip(missing[0])


@pytest.mark.slow
def test_a_model_of_a_library_passes(registry) -> None:
    found = conformance(registry.entry("resnet10t").technique, registry)
    assert [str(finding) for finding in found if finding.state == "failed"] == []
