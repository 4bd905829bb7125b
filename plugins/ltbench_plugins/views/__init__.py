"""Built-in views."""
