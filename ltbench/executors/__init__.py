"""Where jobs run: the executors of ltbench itself, behind the interface of `ltbench/executor.py` like anyone's."""
