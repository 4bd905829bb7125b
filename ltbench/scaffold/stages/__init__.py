"""Templates of `ltbench new`: a working technique of each stage with its test."""
