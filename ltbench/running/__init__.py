"""Runs the graph of jobs: ready queue, counters, run log, progress, status of a store."""
