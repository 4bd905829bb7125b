"""Shared basics: specs and identities of jobs, state of the process, atomic writes, checksums, units."""
