"""One plan for many sites that share limits."""
