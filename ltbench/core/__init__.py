"""What every package uses: specs and identities of jobs, the state of the process, atomic writes, checksums, units."""
