"""Somebody else's records: audit, and running cells again."""
