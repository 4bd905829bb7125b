"""Built-in posthocs."""
