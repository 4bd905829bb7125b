"""Templates of `ltbench new`.

`stages/` has a technique of each stage with its test, `around/` the other files of a package. The extension `.txt` is removed.
"""
