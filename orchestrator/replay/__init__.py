"""A period of all offices, replayed through the real contracts: see `replay.replayed`."""
