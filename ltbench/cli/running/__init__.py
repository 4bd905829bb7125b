"""The steps of `ltbench run`: prepare, run part by part, publish."""
