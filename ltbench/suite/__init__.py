"""Suites: the file that states a question, its recipe, and a report's published numbers and claims."""
