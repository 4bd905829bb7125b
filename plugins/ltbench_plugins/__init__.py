"""The techniques that come with ltbench: a folder per stage, a file per technique."""
