"""Installed techniques: discovery, loading, names, notation, help for parameters."""
