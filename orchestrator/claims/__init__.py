"""Claiming rows of origin, and the proofs that anyone can check."""
