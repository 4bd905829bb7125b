"""The version of ltbench."""

__version__ = "0.1.0"
