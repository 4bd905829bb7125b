"""Trained models: a cell as a folder of weights and facts, and the classification of further images with it."""
