"""The built-in executors, behind the interface of `ltbench/executor.py` like any other."""
