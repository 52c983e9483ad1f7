"""The settings file that `yui vpp init` writes."""

from __future__ import annotations

import json

from energy.errors import SettingError

MOST_SITES = 2**32

_TEXT = """\
# What this site's battery does for the fleet; docs/dispatch.md says what each setting means.

[site]
number = {site}
name = {name}
municipality = {municipality}
kind = "pv+battery"

# What others may do with the battery. An instruction beyond it is refused.
[owner]
charge_w = {power_w}
discharge_w = {power_w}
least_percent = 10
most_percent = 95
actions = ["plan", "call", "charge", "discharge", "hold", "limit"]
hours = "00:00-24:00"
grid_charging = true

[run]
state = "dispatch.sqlite"
plan = "plan.json"
port = 9465

[device]
revert_seconds = 60
write_seconds = 2.0
ramp_w = 0

[lost]
link_seconds = 60
chain_seconds = 300
# rpc = "http://127.0.0.1:8545"     # then the chain is watched as well

# [link]
# folder = "link"                   # what the control room handed over

# `yui oracle probe` shows what is there; `yui vpp check` reads these and writes nothing.

[[battery]]
host = "127.0.0.1"
port = 5020
unit = 3

[[meter]]
host = "127.0.0.1"
port = 5020
unit = 1

[[inverter]]
host = "127.0.0.1"
port = 5020
unit = 2
"""


def settings_text(site: int, name: str, municipality: str, power_w: int) -> str:
    """Return the text of a settings file whose devices are those of `yui simulate site`.

    Raises:
        SettingError: for a value that cannot be.
    """
    if not 0 <= site < MOST_SITES:
        raise SettingError(f"--site must be 0 to {MOST_SITES - 1}, got {site}")
    if power_w <= 0:
        raise SettingError(f"--power-w must be above 0 W, got {power_w} W")
    return _TEXT.format(
        site=site,
        name=json.dumps(name, ensure_ascii=False),
        municipality=json.dumps(municipality, ensure_ascii=False),
        power_w=power_w,
    )
