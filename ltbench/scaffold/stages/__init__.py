"""A technique of each stage, as `ltbench new` writes it: real modules, checked like any; each with its test beside it."""
