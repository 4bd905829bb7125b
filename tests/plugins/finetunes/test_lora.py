from __future__ import annotations

import numpy as np
import pytest
import torch
from plugins.finetunes.networks import Convolutional, learning, size, small_vit, vit_b16
from torch import nn

from ltbench.errors import JobFailed
from ltbench_plugins.finetunes.lora import Lora

pytest.importorskip("peft", reason="peft is not installed; it comes with the extra 'finetune'")


def test_as_many_parameters_as_published_learn_at_width_768() -> None:
    # Hu et al., table 2: 0.3 M for RoBERTa-base, which has twelve layers of width 768 as ViT-B has.
    with torch.device("meta"):
        network = Lora().adapt(vit_b16())
    assert size(Lora(), network) == 12 * 2 * (8 * 768 + 768 * 8) == 294_912


def test_it_starts_as_the_network_was() -> None:
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = small_vit()(images)
        for layers in ("attention", "all"):
            torch.testing.assert_close(Lora(rank=2, layers=layers).adapt(small_vit()).eval()(images), before)


@torch.no_grad()
def test_a_projection_by_the_equation_of_the_paper() -> None:
    rank, alpha = 2, 5.0
    network = Lora(rank=rank, alpha=alpha).adapt(small_vit()).eval()
    queries = network.blocks[1].attn.qkv.q
    (down,), (up,) = queries.lora_A.values(), queries.lora_B.values()
    assert down.weight.shape == (rank, 6)
    assert not up.weight.any()
    nn.init.normal_(up.weight)
    x = np.arange(12.0).reshape(2, 6) / 10
    layer = small_vit().blocks[1].attn.qkv
    w, b = layer.weight[:6].numpy(), layer.bias[:6].numpy()
    change = alpha / rank * x @ down.weight.numpy().T @ up.weight.numpy().T  # equation 3, with x as rows
    np.testing.assert_allclose(queries(torch.from_numpy(x).float()).numpy(), x @ w.T + b + change, rtol=1e-5, atol=1e-6)
    assert np.abs(change).max() > 0.1, "the change matters"


@torch.no_grad()
def test_with_full_rank_it_can_be_any_other_matrix() -> None:
    network = Lora(rank=6, alpha=6.0).adapt(small_vit()).eval()
    values = network.blocks[0].attn.qkv.v
    (down,), (up,) = values.lora_A.values(), values.lora_B.values()
    other = torch.randn(6, 6, generator=torch.Generator().manual_seed(4))
    nn.init.eye_(down.weight)
    up.weight.copy_(other - values.base_layer.weight)
    tokens = torch.randn(3, 6, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(values(tokens), tokens @ other.T + values.base_layer.bias)


def test_queries_and_values_are_adapted_and_nothing_else() -> None:
    network = Lora(rank=2).adapt(small_vit())
    assert set(learning(Lora(), network)) == {
        f"blocks.{block}.attn.qkv.{part}.lora_{matrix}.default.weight"
        for block in (0, 1)
        for part in "qv"
        for matrix in "AB"
    }


def test_every_layer_but_the_classifier_can_be_adapted() -> None:
    network = Lora(rank=2, layers="all").adapt(small_vit())
    adapted = {name.partition(".lora_")[0] for name in learning(Lora(), network)}
    layers = {
        f"blocks.{block}.{layer}" for block in (0, 1) for layer in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    }
    assert adapted == {"patch_embed.proj"} | layers


def test_a_network_without_attention_is_adapted_in_every_layer_without_groups() -> None:
    network = Lora(rank=2).adapt(Convolutional())
    assert {name.partition(".lora_")[0] for name in learning(Lora(), network)} == {"conv"}
    images = torch.randn(2, 3, 9, 9)
    network.get_classifier().requires_grad_(True)
    network(images).sum().backward()
    assert all(parameter.grad is not None for parameter in learning(Lora(), network).values())


def test_layers_that_a_method_of_the_network_hides_are_adapted() -> None:
    import timm

    from ltbench_plugins.models._networks._timm_blocks import with_blocks

    network = Lora(rank=2).adapt(with_blocks(timm.create_model("test_efficientnet", num_classes=3)))
    adapted = {name.partition(".lora_")[0] for name in learning(Lora(), network)}
    assert "conv_stem" in adapted
    assert any(name.startswith("blocks.1.") for name in adapted)
    assert isinstance(network.blocks(), list)


def test_separate_projections_are_adapted_where_a_network_has_them() -> None:
    from timm.models.eva import EvaAttention

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attn, self.fc = EvaAttention(8, num_heads=2, qkv_fused=False, norm_layer=nn.LayerNorm), nn.Linear(8, 2)

        def get_classifier(self) -> nn.Module:
            return self.fc

    adapted = {name.partition(".lora_")[0] for name in learning(Lora(), Lora(rank=2).adapt(Network()))}
    assert adapted == {"attn.q_proj", "attn.v_proj"}


def test_a_projection_that_is_not_called_as_a_layer_is_refused() -> None:
    from timm.models.beit import Beit

    network = Beit(img_size=8, patch_size=4, num_classes=3, embed_dim=8, depth=1, num_heads=2, qkv_bias=True)
    with pytest.raises(JobFailed, match="without calling it"):
        Lora().adapt(network)
    adapted = {name.partition(".lora_")[0] for name in learning(Lora(), Lora(rank=2, layers="all").adapt(network))}
    assert adapted == {"patch_embed.proj", "blocks.0.attn.proj", "blocks.0.mlp.fc1", "blocks.0.mlp.fc2"}


def test_a_network_without_layers_to_adapt_is_refused() -> None:
    class Network(nn.Sequential):
        def get_classifier(self) -> nn.Module:
            return self[-1]

    with pytest.raises(JobFailed, match="finds nothing to adapt"):
        Lora().adapt(Network(nn.Flatten(), nn.Linear(4, 2)))
