"""Tables of a leaderboard: rows, cells as text, markdown, CSV, terminal."""
