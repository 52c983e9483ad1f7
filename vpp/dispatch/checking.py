"""`yui vpp check`: every device read once, and what the dispatch would do, unarmed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from energy.language import Language
from vpp.commands import Following, Report
from vpp.dispatch.device import BatteryShown, Setpoint
from vpp.dispatch.health import plain_report
from vpp.dispatch.opening import site_of
from vpp.dispatch.planfile import PlanFile
from vpp.dispatch.settings import Settings
from vpp.dispatch.words import say


@dataclass(frozen=True, slots=True)
class Checked:
    """What the battery shows, how the site stands, what would be told, and what is wrong."""

    shown: BatteryShown | None
    report: Report
    setpoint: Setpoint | None
    """What it would be told; None: nothing, it is left to itself."""
    reverts: bool
    follows_ranges: bool
    troubles: tuple[str, ...]

    def would(self, language: Language = Language.ENGLISH) -> str:
        """Say what the dispatch would do."""
        if self.report.following is Following.OUT:
            return say(language, "would_nothing")
        if self.setpoint is None:
            return say(language, "would_leave")
        return say(language, "would_set", setpoint=self.setpoint)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "battery": None if self.shown is None else asdict(self.shown),
            "report": plain_report(self.report),
            "would": self.would(),
            "reverts": self.reverts,
            "follows_ranges": self.follows_ranges,
            "troubles": list(self.troubles),
        }


async def checked(settings: Settings) -> Checked:
    """Return what a cycle finds and would do; no device is written to."""
    with site_of(settings, unarmed=True) as site:
        plan = PlanFile(settings.plan, settings.place.site, settings.limits)
        plan.read()
        site.plans = plan.plans
        await site.cycle()
        troubles = list(site.alarms.texts)
        if plan.trouble:
            troubles.append(plan.trouble)
        return Checked(
            site.image.shown,
            site.report(),
            site.decision.setpoint,
            site.instruments.battery.reverts,
            site.instruments.battery.follows_ranges,
            tuple(troubles),
        )
