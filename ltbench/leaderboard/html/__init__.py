"""The report of a suite: one HTML file for a browser that needs neither a network nor anything beside it."""
