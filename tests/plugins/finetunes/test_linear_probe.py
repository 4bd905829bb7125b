from __future__ import annotations

import torch
from plugins.finetunes.networks import Convolutional, learning

from ltbench.planning.combinations import Combination, reason_left_out
from ltbench_plugins.finetunes._class_means import set_class_means
from ltbench_plugins.finetunes.linear_probe import LinearProbe
from ltbench_plugins.heads.etf import Etf


def test_nothing_of_the_backbone_learns() -> None:
    assert not learning(LinearProbe(), Convolutional())
    assert LinearProbe.trainable == "classifier"


def test_a_fixed_classifier_leaves_nothing_to_learn() -> None:
    assert "nothing would learn" in reason_left_out(Combination((LinearProbe(), Etf())))


class Given(torch.nn.Module):
    """Hands its input to the classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(2, 3)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.fc(features)

    def get_classifier(self) -> torch.nn.Module:
        return self.fc


@torch.no_grad()
def test_class_means_by_hand() -> None:
    network = Given()
    before = network.fc.weight[2].clone(), network.fc.bias[2].clone()
    batches = [
        (torch.tensor([[1.0, 0.0], [5.0, 8.0]]), torch.tensor([0, 1])),
        (torch.tensor([[5.0, 8.0], [1.0, -4.0]]), torch.tensor([0, 1])),
    ]
    set_class_means(network, batches)
    # Means (3, 4) and (3, 2), of norms 5 and sqrt(13); the third class has no image.
    expected = torch.tensor([[0.6, 0.8], [3 / 13**0.5, 2 / 13**0.5]])
    torch.testing.assert_close(network.fc.weight[:2], expected)
    assert network.fc.bias[:2].tolist() == [0, 0]
    assert torch.equal(network.fc.weight[2], before[0])
    assert torch.equal(network.fc.bias[2], before[1])
