from __future__ import annotations

from plugins.finetunes.networks import Convolutional, learning, size, vit_b16
from torch import nn

from ltbench_plugins.finetunes.bitfit import BitFit
from ltbench_plugins.finetunes.full import Full


def test_a_tenth_of_a_million_of_a_vit_b16_learns() -> None:
    # By hand: of each of 12 blocks 3 * 768 + 768 for attention, 3072 + 768 for the MLP, 2 * 768 for normalisation; the
    # patches and the last normalisation have 768 each. Shi et al. (LIFT), table 6: 0.10 M.
    assert size(BitFit(), vit_b16()) == 12 * (4 * 768 + 5 * 768 + 2 * 768) + 2 * 768 == 102_912


def test_biases_of_normalisation_learn_too() -> None:
    assert set(learning(BitFit(), Convolutional())) == {"grouped.bias", "bn.bias"}


def test_terms_of_other_names_that_are_added_to_projections_are_biases() -> None:
    from timm.models.beit import Attention

    module = Attention(8, num_heads=2, qkv_bias=True, window_size=(2, 2))
    found = [name for name, one in module.named_parameters(recurse=False) if BitFit().learns(f"a.{name}", one, module)]
    assert found == ["q_bias", "v_bias"], "but not the table of positions"


def test_where_there_are_only_biases_it_trains_the_whole_network() -> None:
    class Shift(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(nn.Linear(2, 3).bias.detach())
            self.fc = nn.Linear(3, 2)

        def get_classifier(self) -> nn.Module:
            return self.fc

    assert learning(BitFit(), Shift()).keys() == learning(Full(), Shift()).keys() == {"bias"}
