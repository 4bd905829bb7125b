"""A data set and a suite for ltbench."""
