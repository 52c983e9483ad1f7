"""The desk's web pages: what the store says, for operator, energy manager and auditor."""
