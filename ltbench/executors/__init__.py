"""Running jobs: one file per executor."""
