"""A plan's first day as a drawing, PNG or SVG."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from energy.errors import SettingError
from energy.units import SLOTS_PER_DAY
from orchestrator.words import Language, say
from vpp.plan import Plan

FORMATS = (".png", ".svg")
JAPANESE_FONTS = ("Noto Sans CJK JP", "IPAexGothic", "IPAGothic", "TakaoGothic", "Hiragino Sans")
COLOURS = {"load": "black", "pv": "goldenrod", "charge": "seagreen", "discharge": "firebrick"}


def chart(plan: Plan, path: Path, title: str, language: Language) -> None:
    """Draw a plan's first day to a file: prices, energy, and what is stored.

    An SVG keeps its text as text. Where no font for Japanese is installed, a PNG is in English.

    Raises:
        SettingError: if the file is of another kind or cannot be written.
    """
    if path.suffix not in FORMATS:
        raise SettingError(f"a chart must be one of {', '.join(FORMATS)}, got {path.name!r}")
    import matplotlib
    from matplotlib import font_manager
    from matplotlib.figure import Figure

    style: dict[str, object] = {"svg.fonttype": "none"}
    if language is Language.JAPANESE:
        known = {font.name for font in font_manager.fontManager.ttflist}
        fonts = [name for name in JAPANESE_FONTS if name in known]
        if fonts:
            style["font.family"] = fonts[0]
        elif path.suffix == ".png":
            language, title = Language.ENGLISH, ""
    problem, day = plan.problem, slice(0, SLOTS_PER_DAY)
    edges = np.arange(SLOTS_PER_DAY + 1) / 2
    with matplotlib.rc_context(style):  # type: ignore[arg-type]
        figure = Figure(figsize=(9, 7), layout="constrained")
        price, energy, stored = figure.subplots(3, 1, sharex=True)
        for tier in (*problem.purchases, *problem.sales):
            name = say(language, f"tier_{tier.name}")
            price.stairs(np.asarray(tier.price)[day], edges, baseline=None, label=name, lw=1.5)
        if plan.duals is not None:
            value = plan.duals.stored[0][day]
            name = say(language, "plan_stored_worth")
            price.stairs(value, edges, baseline=None, label=name, color="black", ls=":")
        price.set_ylabel(say(language, "per_kwh"))
        for word, series in (("load", problem.load_kwh), ("pv", problem.pv_kwh)):
            energy.stairs(
                np.asarray(series)[day],
                edges,
                baseline=None,
                label=say(language, f"plan_{word}"),
                color=COLOURS[word],
                lw=1.5,
            )
        for word, flow in (("charge", plan.charge[0]), ("discharge", -plan.discharge[0])):
            name = say(language, f"plan_{word}")
            energy.stairs(flow[day], edges, fill=True, alpha=0.5, label=name, color=COLOURS[word])
        energy.set_ylabel("kWh")
        states = np.concatenate([[problem.batteries[0].initial_kwh], plan.stored[0][day]])
        stored.fill_between(edges, states, alpha=0.4, label=say(language, "plan_stored"))
        stored.set_ylim(0, problem.batteries[0].capacity_kwh)
        stored.set_ylabel("kWh")
        stored.set_xlim(0, 24)
        stored.set_xticks(range(0, 25, 3))
        for axes in (price, energy, stored):
            axes.legend(fontsize="small", loc="upper left")
            axes.grid(alpha=0.3)
        figure.suptitle(title)
        try:
            figure.savefig(path)
        except OSError as error:
            raise SettingError(f"{path} must be writable, got {error}") from error
