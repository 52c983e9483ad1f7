"""The models that are averaged: one idea each, at several settings."""

from __future__ import annotations

from vpp.prices import alike, linear, trees
from vpp.prices.linear import Learner


def quick_members() -> dict[str, Learner]:
    """Return the models that take a few milliseconds a day, by name."""
    found: dict[str, Learner] = {}
    for half_life in (4.0, 7.0, 12.0, 20.0):
        for other_kind in (0.05, 0.3):
            name = f"profile, half-life {half_life:g}, other kinds {other_kind:g}"
            found[name] = alike.profile(half_life, other_kind)
    for part in (0.3, 0.6):
        found[f"profile carried, {part:g}"] = alike.carried(part)
    for count in (10, 25):
        found[f"neighbours, {count}"] = alike.neighbours(count)
    for days in (56, 400):
        found[f"kernel, {days} days"] = alike.kernel(days)
    for length in (28, 42, 56, 84, None):
        for alpha in (300.0, 1000.0):
            found[f"ridge, {length or 'all'} days, {alpha:g}"] = linear.whole_day(alpha, length)
    for length in (42, 84, None):
        found[f"ridge above profile, {length or 'all'} days"] = linear.above_profile(length)
        found[f"ridge, coarse, {length or 'all'} days"] = linear.coarse(length)
    return found


def members() -> dict[str, Learner]:
    """Return all models by name: with half hours by themselves and trees, half a second a day."""
    found = quick_members()
    for days in (56, 84, 400):
        found[f"ridge by half hour, {days} days"] = linear.half_hours(days)
    grown = trees.TreesOverProfile
    found["boosted, slow profile"] = grown(trees.boosted, "slow")
    found["boosted, slow profile, 84 days"] = grown(trees.boosted, "slow", length=84)
    found["boosted, slow profile, half-life 40"] = grown(trees.boosted, "slow", half_life=40)
    found["boosted, fast profile"] = grown(trees.boosted, "fast")
    found["boosted, fast profile, absolute"] = grown(trees.boosted_absolute, "fast")
    found["random, slow profile"] = grown(trees.random, "slow")
    found["random, fast profile"] = grown(trees.random, "fast")
    found["random, fast profile, 84 days"] = grown(trees.random, "fast", length=84)
    return found
