"""Turns a suite into combinations, cells and a graph of jobs that share trainings; estimates their cost."""
