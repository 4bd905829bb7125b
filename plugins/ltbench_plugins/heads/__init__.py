"""Classifiers in place of the linear layer of a model."""
