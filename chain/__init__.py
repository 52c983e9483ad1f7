"""The way to a chain: start one, call contracts, index events into a local store."""
