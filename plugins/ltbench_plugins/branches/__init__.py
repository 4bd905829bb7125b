"""Built-in branches."""
