"""Leaderboards, rendered from records alone."""
