"""What every package stands on: specs and identity of jobs, files whole or not at all, checksums, signals, units."""
