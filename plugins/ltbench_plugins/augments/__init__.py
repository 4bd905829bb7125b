"""Built-in augments."""
