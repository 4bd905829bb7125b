"""Tuning: trials of rows on held-out images, and the choice between them."""
