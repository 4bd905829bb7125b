"""Artefacts and records on a disk that processes and machines share: format, leases, quarantine, training states, clean-up."""
