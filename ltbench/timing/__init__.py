"""Prediction of durations: shapes of jobs, log of speeds, estimates, makespan."""
