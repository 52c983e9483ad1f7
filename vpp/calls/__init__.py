"""Balancing calls: heard, split over the fleet, followed, watched, and proven afterwards."""
