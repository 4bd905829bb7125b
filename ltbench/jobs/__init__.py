"""Calling plugins safely at inference time, and the one job that needs no torch: a cell from stored logits."""
