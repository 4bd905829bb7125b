from __future__ import annotations

import numpy as np
import pytest
import torch
from plugins.finetunes.networks import learning, size, small_vit, vit_b16
from torch import nn

from ltbench_plugins.finetunes.adaptformer import AdaptFormer


def test_as_many_parameters_as_published_learn_in_a_vit_b16() -> None:
    with torch.device("meta"):
        network = AdaptFormer().adapt(vit_b16())
    # Chen et al., table 1: 1.19 M for AdaptFormer-64 without the classifier.
    assert size(AdaptFormer(), network) == 12 * (768 * 64 + 64 + 64 * 768 + 768) == 1_189_632


def test_it_starts_as_the_network_was_bit_for_bit() -> None:
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = small_vit()(images)
        assert torch.equal(AdaptFormer(width=4).adapt(small_vit()).eval()(images), before)


@pytest.mark.parametrize("normalised", [True, False])
@torch.no_grad()
def test_a_block_by_the_equations_of_the_paper(normalised: bool) -> None:
    scale, width = 0.7, 3
    network = AdaptFormer(width=width, scale=scale, normalised=normalised).adapt(small_vit()).eval()
    block = network.blocks[0]
    for parameter in block.mlp.bottleneck.parameters():
        nn.init.normal_(parameter)
    block.norm1.weight.zero_()  # no attention: with its biases zero, x' is the input
    block.norm1.bias.zero_()
    block.attn.qkv.bias.zero_()
    block.attn.proj.bias.zero_()
    tokens = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(2))

    x = tokens.double().numpy()
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    own = block.mlp
    ln = (x - mean) / np.sqrt(variance + own.norm.eps) * own.norm.weight.numpy() + own.norm.bias.numpy()
    down, _, up = own.bottleneck
    given = ln if normalised else x
    beside = np.maximum(given @ down.weight.numpy().T + down.bias.numpy(), 0) @ up.weight.numpy().T + up.bias.numpy()
    mlp = own.mlp(torch.from_numpy(ln).float()).double().numpy()
    expected = mlp + scale * beside + x  # equation 3
    np.testing.assert_allclose(block(tokens).numpy(), expected, rtol=1e-4, atol=1e-5)
    assert np.abs(scale * beside).max() > 0.1, "the bottleneck matters"


def test_only_bottlenecks_learn() -> None:
    network = AdaptFormer(width=4).adapt(small_vit())
    assert set(learning(AdaptFormer(), network)) == {
        f"blocks.{block}.mlp.bottleneck.{layer}.{kind}"
        for block in (0, 1)
        for layer in (0, 2)
        for kind in ("weight", "bias")
    }


@pytest.mark.parametrize("name", ["beit", "swin", "deit"])
def test_other_transformers_have_such_blocks(name: str) -> None:
    from timm.models import beit, deit, swin_transformer

    kind = {"beit": beit.Beit, "swin": swin_transformer.SwinTransformer, "deit": deit.VisionTransformerDistilled}[name]
    sizes = (
        {"depths": (1, 1), "num_heads": (2, 2), "window_size": 2} if name == "swin" else {"depth": 1, "num_heads": 2}
    )
    network = kind(img_size=16, patch_size=4, num_classes=3, embed_dim=8, **sizes).eval()
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        before = network(images)
        adapted = AdaptFormer(width=4).adapt(network).eval()
        torch.testing.assert_close(adapted(images), before)
    assert any(".bottleneck." in key for key, _ in adapted.named_parameters())
