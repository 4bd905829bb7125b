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


class WithManyClassifiers(Network):
    """Returns the logits of three classifiers side by side in training, and those of the first one otherwise."""

    def __init__(self, channels, classes):
        super().__init__(channels, classes)
        self.others = nn.ModuleList(nn.Linear(4, classes) for _ in range(2))

    def forward(self, images):
        features = self.convolution(images).mean((2, 3))
        logits = [layer(features) for layer in (self.classifier, *self.others)]
        return torch.cat(logits, 1) if self.training else logits[0]


class Merging(nn.Module):
    """Adds to the weights of a layer in each pass of a training."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, tokens):
        if self.training:
            self.layer.weight.data += 0.1
        return self.layer(tokens)


class Outside(nn.Module):
    """Counts its passes in training, in no tensor of its state."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        self.passes = 0

    def forward(self, tokens):
        self.passes += self.training
        return self.layer(tokens) * (1 + self.passes)


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
