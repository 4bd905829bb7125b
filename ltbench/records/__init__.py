"""One record per cell, and files of records: schema, seal, locations, agreement, verifications."""
