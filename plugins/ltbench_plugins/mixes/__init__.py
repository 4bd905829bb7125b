"""Built-in mixes."""
