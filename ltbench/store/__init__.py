"""Artefacts and records on a shared disk: format, leases, quarantine, training states, pruning."""
