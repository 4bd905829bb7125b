"""Two rows, two leaderboards, or two records side by side."""
