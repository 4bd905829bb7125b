"""Networks of broken models."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Network(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.convolution = nn.Conv2d(channels, 4, 3)
        self.classifier = nn.Linear(4, classes)

    def get_classifier(self):
        return self.classifier

    def forward(self, images):
        return self.classifier(self.convolution(images).mean((2, 3)))


class WithOtherClassifier(Network):
    def get_classifier(self):
        return copy.deepcopy(self.classifier)


class WithClassifierAside(Network):
    def get_classifier(self):
        return self.aside

    def __init__(self, channels, classes):
        super().__init__(channels, classes)
        self.aside = nn.Linear(1, 1).requires_grad_(requires_grad=False)


class WithLostTensor(Network):
    def __init__(self, channels, classes):
        super().__init__(channels, classes)
        self.scale = torch.ones(1, channels, 1, 1)

    def forward(self, images):
        return super().forward(images * self.scale)


class OfBlocks(Network):
    def __init__(self, channels, classes):
        super().__init__(channels, classes)
        self.second = nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU())

    def blocks(self):
        return [self.convolution, self.second]

    def forward_features(self, images):
        return self.second(self.convolution(images))

    def forward_head(self, maps, pre_logits=False):
        rows = maps.mean((2, 3))
        return rows if pre_logits else self.classifier(rows)

    def forward(self, images):
        return self.forward_head(self.forward_features(images))


class WithForgottenBlock(OfBlocks):
    def blocks(self):
        return [self.convolution, self.second[0]]


class WithLogitsAsFeatures(OfBlocks):
    def forward_head(self, maps, pre_logits=False):
        return self.classifier(maps.mean((2, 3)))
