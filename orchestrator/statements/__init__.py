"""Where energy came from and what it cost: a day, a month, a kWh's way."""
