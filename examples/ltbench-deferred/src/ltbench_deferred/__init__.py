"""A training regime and an ensemble for ltbench."""
