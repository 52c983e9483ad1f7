"""The verification report: whether trading was worth it, from chain data alone. See `report`."""
