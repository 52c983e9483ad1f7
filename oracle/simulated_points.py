"""What the simulated devices show: a plant's state as SunSpec points, and commands back.

Values are raw: to be read with the scale factors beside them. Counters roll over as the
registers do.
"""

from __future__ import annotations

from dataclasses import replace

from field.sunspec import Block, raw_of
from oracle.plant import FULL_RATE, Battery, Controls, Flows, Plant

STORAGE, ACTIVE = 124, 704
CONTROL_POINTS = {
    STORAGE: (
        "StorCtl_Mod",
        "InWRte",
        "OutWRte",
        "InOutWRte_RvrtTms",
        "MinRsvPct",
        "ChaGriSet",
    ),
    ACTIVE: ("WSetEna", "WSetMod", "WSet", "WSetEnaRvrt", "WSetRvrtTms"),
}
"""Points that may be written, by model."""
LINE_VOLTS = 200
PHASE_VOLTS = 115
BATTERY_VOLTS = 400
CENTIHERTZ = 5000
ROLL_32 = 1 << 32
ROLL_64 = 1 << 64

_ROLES = {1: "meter", 2: "inverter", 3: "battery"}
_OFF, _MPPT = 1, 4
_DISCHARGING, _CHARGING, _HOLDING = 3, 4, 6
_LITHIUM_ION, _CONNECTED, _STARTED = 4, 3, 3
_IN_WATTS = 1


def common_points(unit: int) -> dict[str, int | str]:
    """Return model 1: who made the device."""
    return {"Mn": "Yui", "Md": f"simulated {_ROLES[unit]}", "SN": f"unit {unit}", "DA": unit}


def meter_points(plant: Plant, counters: Flows) -> dict[str, int]:
    """Return model 203; import is positive power."""
    power_w = plant.power_w(plant.last.imported - plant.last.exported)
    power, power_scale = fitted(power_w, 0x7FFF)
    return {
        **_currents(power_w),
        **dict.fromkeys(("PhV", "PhVphA", "PhVphB", "PhVphC"), PHASE_VOLTS),
        **dict.fromkeys(("PPV", "PhVphAB", "PhVphBC", "PhVphCA"), LINE_VOLTS),
        "V_SF": 0,
        "Hz": CENTIHERTZ,
        "Hz_SF": -2,
        "W": power,
        "W_SF": power_scale,
        "TotWhExp": counters.exported % ROLL_32,
        "TotWhImp": counters.imported % ROLL_32,
        "TotWh_SF": 0,
        "Evt": 0,
    }


def inverter_points(plant: Plant, counters: Flows) -> dict[str, int]:
    """Return model 103."""
    power_w = plant.power_w(plant.last.generated)
    power, power_scale = fitted(power_w, 0x7FFF)
    return {
        **_currents(power_w),
        **dict.fromkeys(("PhVphA", "PhVphB", "PhVphC"), PHASE_VOLTS),
        "V_SF": 0,
        "W": power,
        "W_SF": power_scale,
        "Hz": CENTIHERTZ,
        "Hz_SF": -2,
        "WH": counters.generated % ROLL_32,
        "WH_SF": 0,
        "TmpCab": 25,
        "Tmp_SF": 0,
        "St": _MPPT if power_w else _OFF,
        "Evt1": 0,
        "Evt2": 0,
    }


def battery_points(
    plant: Plant, counters: Flows, battery: Battery, controls: Controls
) -> dict[int, dict[str, int]]:
    """Return models 124, 702, 704, 713, 714 and 802; discharging is positive power."""
    rating, energy_scale = fitted(battery.capacity_wh, 0xFFFE)
    most, most_scale = fitted(battery.power_w, 0xFFFE)
    power_w = plant.power_w(plant.last.discharged - plant.last.charged)
    power, power_scale = fitted(power_w, 0x7FFF)
    charge = plant.content * 10 // (battery.capacity_wh * plant.parts)  # 0.01 %
    status = _DISCHARGING if power_w > 0 else _CHARGING if power_w < 0 else _HOLDING
    control = {
        "WChaMax": most,
        "WChaMax_SF": most_scale,
        "WChaGra": 100,
        "WDisChaGra": 100,
        "WChaDisChaGra_SF": 0,
        "StorCtl_Mod": controls.limits_charge | controls.limits_discharge << 1,
        "MinRsvPct": controls.reserve,
        "MinRsvPct_SF": -2,
        "ChaState": charge,
        "ChaState_SF": -2,
        "ChaSt": status,
        "OutWRte": controls.discharge_rate,
        "InWRte": controls.charge_rate,
        "InOutWRte_SF": -2,
        "InOutWRte_RvrtTms": controls.revert_seconds,
        "ChaGriSet": int(controls.charges_from_grid),
    }
    ratings = {
        **dict.fromkeys(("WMaxRtg", "WChaRteMaxRtg", "WDisChaRteMaxRtg"), most),
        **dict.fromkeys(("WMax", "WChaRteMax", "WDisChaRteMax"), most),
        "W_SF": most_scale,
    }
    left = controls.set_at_seconds + controls.set_seconds - plant.time_seconds
    active = {
        "WSetEna": int(controls.sets_power),
        "WSetMod": _IN_WATTS,
        "WSet": controls.set_w,
        "WSetEnaRvrt": 0,
        "WSetRvrtTms": controls.set_seconds,
        "WSetRvrtRem": max(left, 0) if controls.sets_power and controls.set_seconds else 0,
        "WSet_SF": 0,
    }
    capacity = {
        "WHRtg": rating,
        "WHAvail": plant.stored_wh // 10**energy_scale,
        "SoC": charge,
        "SoH": FULL_RATE,
        "Sta": 0,
        "WH_SF": energy_scale,
        "Pct_SF": -2,
    }
    direct_current = {
        "NPrt": 0,
        "DCA": power_w * 10 // BATTERY_VOLTS,
        "DCA_SF": -1,
        "DCW": power,
        "DCW_SF": power_scale,
        "DCWhInj": counters.discharged % ROLL_64,
        "DCWhAbs": counters.charged % ROLL_64,
        "DCWH_SF": 0,
    }
    base = {
        "AHRtg": battery.capacity_wh // BATTERY_VOLTS,
        "AHRtg_SF": 0,
        "WHRtg": rating,
        "WHRtg_SF": energy_scale,
        "WChaRteMax": most,
        "WDisChaRteMax": most,
        "WChaDisChaMax_SF": most_scale,
        "SoC": charge,
        "SoC_SF": -2,
        "ChaSt": status,
        "LocRemCtl": 0,
        "AlmRst": 0,
        "Typ": _LITHIUM_ION,
        "State": _CONNECTED,
        **dict.fromkeys(("Evt1", "Evt2", "EvtVnd1", "EvtVnd2"), 0),
        "V": BATTERY_VOLTS,
        "V_SF": 0,
        "A": power_w * 10 // BATTERY_VOLTS,
        "A_SF": -1,
        "W": power,
        "W_SF": power_scale,
        "SetOp": 1,
        "SetInvState": _STARTED,
        "CellV_SF": 0,
        "AMax_SF": 0,
    }
    return {
        STORAGE: control,
        702: ratings,
        ACTIVE: active,
        713: capacity,
        714: direct_current,
        802: base,
    }


def controls_from(block: Block, held: Controls, now_seconds: int) -> Controls | None:
    """Return the controls that a written block asks for; None if it asks for nonsense."""
    if block.model.number == ACTIVE:
        return _active_controls(block, held, now_seconds)
    values = {name: raw_of(block, name) for name in CONTROL_POINTS[STORAGE]}
    mode, reserve, from_grid = values["StorCtl_Mod"], values["MinRsvPct"], values["ChaGriSet"]
    charge_rate, discharge_rate = values["InWRte"], values["OutWRte"]
    seconds = values["InOutWRte_RvrtTms"]
    if (
        mode is None
        or mode > 3
        or reserve is None
        or reserve > FULL_RATE
        or from_grid not in (0, 1)
        or charge_rate is None
        or abs(charge_rate) > FULL_RATE
        or discharge_rate is None
        or abs(discharge_rate) > FULL_RATE
        or seconds is None
    ):
        return None
    return replace(
        held,
        limits_charge=bool(mode & 1),
        limits_discharge=bool(mode & 2),
        charge_rate=charge_rate,
        discharge_rate=discharge_rate,
        reserve=reserve,
        charges_from_grid=bool(from_grid),
        revert_seconds=seconds,
        commanded_seconds=now_seconds,
    )


def _active_controls(block: Block, held: Controls, now_seconds: int) -> Controls | None:
    values = {name: raw_of(block, name) for name in CONTROL_POINTS[ACTIVE]}
    power_w, seconds = values["WSet"], values["WSetRvrtTms"]
    if (
        values["WSetEna"] not in (0, 1)
        or values["WSetMod"] != _IN_WATTS
        or values["WSetEnaRvrt"] != 0
        or power_w is None
        or seconds is None
    ):
        return None
    return replace(
        held,
        sets_power=values["WSetEna"] == 1,
        set_w=power_w,
        set_seconds=seconds,
        set_at_seconds=now_seconds,
    )


def fitted(value: int, limit: int) -> tuple[int, int]:
    """Return a value shortened until it is within ±`limit`, and its scale factor.

    >>> fitted(80_123, 0x7FFF)
    (8012, 1)
    """
    scale = 0
    while abs(value) > limit * 10**scale:
        scale += 1
    return (abs(value) // 10**scale) * (1 if value >= 0 else -1), scale


def _currents(power_w: int) -> dict[str, int]:
    """Return the currents (0.1 A) at cos phi 1: power / (sqrt 3 x 200 V) in each phase."""
    current = abs(power_w) * 10_000 // 346_410
    return {"A": 3 * current, **dict.fromkeys(("AphA", "AphB", "AphC"), current), "A_SF": -1}
