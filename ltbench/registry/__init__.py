"""Which techniques exist: discovery, loading, names, notation, help for parameters."""
