"""`yui vpp check`: every device read once, and what the dispatch would do, unarmed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from vpp.commands import Following, Report
from vpp.dispatch.device import BatteryShown
from vpp.dispatch.health import plain_report
from vpp.dispatch.opening import site_of
from vpp.dispatch.planfile import PlanFile
from vpp.dispatch.settings import Settings


@dataclass(frozen=True, slots=True)
class Checked:
    """What the battery shows, how the site stands, what would be told, and what is wrong."""

    shown: BatteryShown | None
    report: Report
    would: str
    reverts: bool
    follows_ranges: bool
    troubles: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "battery": None if self.shown is None else asdict(self.shown),
            "report": plain_report(self.report),
            "would": self.would,
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
        setpoint = site.decision.setpoint
        would = "leave it to itself" if setpoint is None else f"set {setpoint}"
        if site.report().following is Following.OUT:
            would = "nothing: the device is out of dispatch"
        return Checked(
            site.image.shown,
            site.report(),
            would,
            site.instruments.battery.reverts,
            site.instruments.battery.follows_ranges,
            tuple(troubles),
        )
