"""Suites: the suite file, its recipe, and the published numbers and claims of a report."""
