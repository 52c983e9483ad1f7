"""Price forecasts: from past days alone, weighted by how right each model was."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from bench import jepx
from energy.errors import SettingError
from vpp.prices import PriceForecaster, price_days, quick_members
from vpp.prices.forecaster import LEARNING_DAYS, exponential_weights, shape_losses
from vpp.prices.members import members

FIRST, PRICES = price_days()
AREA = PRICES * 1.02 + 0.1


def test_forecasts_say_what_they_lack():
    with pytest.raises(SettingError, match="one day before it"):
        PriceForecaster(date(2019, 1, 1)).forecast()
    with pytest.raises(SettingError, match="48 finite prices"):
        PriceForecaster(date(2019, 1, 1)).observe([1.0] * 47)


def test_a_forecast_rests_on_past_days_and_beats_the_day_before():
    forecaster = PriceForecaster(FIRST, quick_members())
    errors, before = [], []
    for number in range(60):
        if number >= LEARNING_DAYS:
            assert forecaster.day == FIRST + timedelta(days=number)
            errors.append(np.abs(forecaster.forecast() - PRICES[number]).mean())
            before.append(np.abs(PRICES[number - 1] - PRICES[number]).mean())
        forecaster.observe(PRICES[number])
    assert np.mean(errors) < 0.9 * np.mean(before)
    low, high = forecaster.quantiles((0.1, 0.9))
    assert (low <= high).all()
    assert sum(forecaster.weights.values()) == pytest.approx(1)


def test_another_future_changes_no_forecast_of_any_model():
    last = LEARNING_DAYS + 1
    told = jepx.believed(PRICES[: last + 2], AREA[: last + 2])
    future = np.arange(last + 2)[:, None] >= last
    spoilt = np.where(future, 99.0, PRICES[: last + 2]), np.where(future, 98.0, AREA[: last + 2])
    other = jepx.believed(spoilt[0], spoilt[1])
    for number in range(LEARNING_DAYS, last + 1):
        assert np.array_equal(told[number], other[number])
    assert (np.abs(told[last + 1] - other[last + 1]).max(1) > 0).all()


def test_a_forecast_is_the_same_whether_or_not_earlier_ones_were_asked_for():
    asked, not_asked = (PriceForecaster(FIRST, quick_members()) for _ in range(2))
    for price in PRICES[:40]:
        if asked.day > FIRST:
            asked.forecast()
        asked.observe(price)
        not_asked.observe(price)
    assert np.array_equal(asked.forecast(), not_asked.forecast())


def test_all_models_forecast_from_the_first_day_of_learning_on():
    forecaster = PriceForecaster(FIRST)
    for price, area in zip(PRICES[:LEARNING_DAYS], AREA, strict=False):
        forecaster.observe(price, area)
    expected = forecaster.forecasts()
    assert expected.shape == (len(members()), 48)
    assert np.abs(expected - PRICES[LEARNING_DAYS]).mean(1).max() < 4


def test_a_model_that_was_right_about_the_shape_gets_the_weight():
    right, wrong = PRICES[40] + 5, np.full(48, PRICES[40].mean())
    losses = shape_losses(np.array([right, wrong]), PRICES[40])
    assert losses[0] == pytest.approx(0)
    assert losses[1] > 1
    assert exponential_weights([], 4).tolist() == [0.25] * 4
    early, late = (exponential_weights([losses] * days, 2) for days in (1, 9))
    assert early[0] > 0.95
    assert early == pytest.approx(late)
    assert exponential_weights([np.zeros(3)], 3) == pytest.approx(np.full(3, 1 / 3))


def test_models_that_failed_once_come_back_as_they_do_better():
    good, bad = np.array([1.0, 2.0, 2.0]), np.array([3.0, 1.0, 2.0])
    after_one = exponential_weights([bad], 3)
    after_many = exponential_weights([bad, good, good, good], 3)
    assert after_one[0] < after_one[1]
    assert after_many[0] > after_many[1]


def test_prices_below_zero_are_forecast_too():
    forecaster = PriceForecaster(FIRST, quick_members())
    for price in PRICES[:35]:
        forecaster.observe(price - 20)
    assert np.isfinite(forecaster.forecast()).all()
    assert np.abs(forecaster.forecast() - (PRICES[35] - 20)).mean() < 4


def test_a_price_file_is_read_or_refused_by_line(tmp_path):
    file = tmp_path / "prices.csv"
    good = "2019-06-04," + ",".join(["1.5"] * 48)
    file.write_text(f"header\n{good}\n")
    assert price_days(file)[1].shape == (1, 48)
    for text, words in (
        (f"header\n{good}\n{good}\n", "line 3 must be the day after"),
        ("header\n2019-06-04,1,2\n", "line 2 must have 48 finite prices"),
        ("header\nsoon,1\n", "line 2 must be a date and prices"),
        ("header\n", "must hold a day"),
    ):
        file.write_text(text)
        with pytest.raises(SettingError, match=words):
            price_days(file)
    with pytest.raises(SettingError, match="must be a price file"):
        price_days(tmp_path / "none.csv")
