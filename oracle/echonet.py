"""What ECHONET Lite devices show a terminal: counters, power, what is stored.

| role     | class | counters                              |
| -------- | ----- | ------------------------------------- |
| meter    | 0288  | E0 and E3, in its unit, with its digits |
| meter    | 0287  | C0 and C1, in its unit                |
| inverter | 0279  | E1                                    |
| battery  | 027D  | A8 and A9, else D8 and D6             |

Units: as in `oracle.quantity`.
"""

from __future__ import annotations

from energy.errors import DeviceError
from field.echonet import (
    CLASSES,
    METER_CODES,
    ROOF_CODES,
    STORAGE_CODES,
    Count,
    meter_shown,
    roof_shown,
    storage_shown,
)
from field.echonet_node import EchonetLine
from field.storage import Unmeasured
from oracle.quantity import Role, Shown, counter_from
from oracle.totals import Counter


async def read_echonet(line: EchonetLine, role: Role, instance: int) -> Shown:
    """Return what a device shows; what is missing or nonsense is left out and named.

    Raises:
        DeviceError: if it does not answer, or is not there.
    """
    target = await line.object_for(CLASSES[role], instance)
    class_ = target >> 8
    counts: dict[str, Count | None]
    stored_wh, errors = None, []
    if role == "meter":
        meter = meter_shown(class_, await line.get(target, METER_CODES[class_]))
        power_w, counts = meter.power_w, {"imported": meter.imported, "exported": meter.exported}
    elif role == "inverter":
        roof = roof_shown(await line.get(target, ROOF_CODES))
        power_w, counts = roof.power_w, {"generated": roof.generated}
    else:
        storage = storage_shown(await line.get(target, STORAGE_CODES))
        power_w, stored_wh = storage.power_w, storage.stored_wh
        counts = {"charged": storage.charged, "discharged": storage.discharged}
        if storage.nonsense:
            errors.append(DeviceError(storage.nonsense))
    counters: dict[str, Counter] = {}
    for quantity, count in counts.items():
        try:
            if count is None:
                raise Unmeasured(f"{quantity} must be a value, got 'no data'")
            counters[quantity] = counter_from(
                quantity, count.value_wh, count.step_wh, count.span_wh
            )
        except DeviceError as error:
            errors.append(error)
    return Shown(counters, power_w, stored_wh, tuple(errors))
