"""The built-in techniques: a folder per stage, a file per technique."""
