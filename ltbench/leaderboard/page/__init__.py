"""The markdown page of a leaderboard and its sections."""
