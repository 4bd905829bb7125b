"""Built-in ensembles."""
