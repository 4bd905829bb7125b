"""Built-in auxiliaries."""
