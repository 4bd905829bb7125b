"""Checked calls of plugins at inference time, and the job that needs no torch: a cell from stored logits."""
