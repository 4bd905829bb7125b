"""A metric and a loss for ltbench."""
