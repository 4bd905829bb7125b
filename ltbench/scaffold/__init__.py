"""Packages for techniques of one's own, as `ltbench new` writes them.

`stages/` has a technique of each stage with its test, `package/` what surrounds them. What ends in `.txt` is written
without that ending.
"""
