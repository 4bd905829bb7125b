"""Turns a suite into combinations, cells and a graph of jobs that share trainings; counts their cost in passes of an image."""
