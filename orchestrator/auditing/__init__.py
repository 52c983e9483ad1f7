"""Running a market's whole chain again, and saying where it differs."""
