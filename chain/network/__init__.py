"""A proof-of-authority network that its members run: made, started, voted on, looked at."""
