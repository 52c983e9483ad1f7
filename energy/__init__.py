"""The rules of the market in plain Python: units, records, messages, the market, origin, errors.

Nothing here reads a clock, a file, a network or a device, and nothing here imports
another folder of the project. What the contracts do with a slot, `energy` does as well,
word for word; the tests run both and demand equality.
"""
