"""What every package uses: specs and identities of jobs, atomic writes, checksums, signals, units."""
