"""Packages for techniques of one's own, as `ltbench new` writes them.

`stages/` has a technique of each stage with its test, `around/` what surrounds it in a package. What ends in `.txt` is written
without that ending.
"""
