"""Bundled data: prices and battery chemistries."""
