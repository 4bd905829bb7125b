"""Built-in second terms of the objective."""
