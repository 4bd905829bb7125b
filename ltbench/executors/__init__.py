"""The built-in executors. Like those of plugins, they implement the interface in `ltbench/executor.py`."""
