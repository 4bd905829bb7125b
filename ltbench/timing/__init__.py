"""How long jobs take: their shape, the log of speeds, estimates, makespan."""
