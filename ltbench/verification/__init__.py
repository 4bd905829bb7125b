"""Verification of records: audits and reruns of cells."""
