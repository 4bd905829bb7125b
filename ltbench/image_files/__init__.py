"""Reads image files as arrays of bytes, by the same rules for data sets and for the images that a model classifies."""
