"""Forecast the next day's prices, half hour by half hour, from the days before it.

`PriceForecaster` is told one day after the other. Many small models (`linear`, `alike`, `trees`)
forecast the day that follows, and are weighted by how far off each has been so far (`forecaster`).
`files` reads price files. Prices in JPY/kWh; a day is 48 of them.
"""

from vpp.prices.files import price_days
from vpp.prices.forecaster import PriceForecaster
from vpp.prices.members import quick_members

__all__ = ["PriceForecaster", "price_days", "quick_members"]
