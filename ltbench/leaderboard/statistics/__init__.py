"""Tests, intervals and effects from records."""
