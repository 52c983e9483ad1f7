"""A call as JSON, as it is posted to the control room and kept in its store.

    {"name": "tohoku-7", "direction": "up", "start": "2026-11-25T17:00:00+09:00",
     "end": "2026-11-25T19:00:00+09:00", "kw": [120, 120, 100, 100],
     "product": {"name": "tertiary-2", "price_kwh": 30.5, "price_kw": 2.1}, "priority": 1}

`kw` is one power for all the time, or one for each half hour from the start on. Prices are in JPY.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from energy.errors import SettingError
from energy.units import JST, PRICE_PER_YEN
from vpp.calls.call import (
    LOWEST_PRIORITY,
    Basis,
    Call,
    Direction,
    Product,
    Source,
    Step,
    by_half_hour,
)

Kw = Annotated[float, Field(ge=0, le=1e7, allow_inf_nan=False)]
Yen = Annotated[float, Field(ge=0, lt=16_777, allow_inf_nan=False)]


class ProductDocument(BaseModel):
    """The terms of a call: prices in JPY per kWh, and per kW and half hour."""

    model_config = ConfigDict(extra="forbid")

    name: str = "balancing"
    price_kwh: Yen = 0.0
    price_kw: Yen = 0.0
    penalty: float = 1.5
    tolerance: float = 0.1
    response_seconds: int = 300
    basis: Basis = Basis.METER

    def product(self) -> Product:
        """Return the terms.

        Raises:
            SettingError: for terms beyond their range.
        """
        return Product(
            self.name,
            round(self.price_kwh * PRICE_PER_YEN),
            round(self.price_kw * PRICE_PER_YEN),
            self.penalty,
            self.tolerance,
            self.response_seconds,
            self.basis,
        )


class CallDocument(BaseModel):
    """A call as it is posted."""

    model_config = ConfigDict(extra="forbid")

    name: str
    direction: Direction
    start: AwareDatetime
    end: AwareDatetime
    kw: Kw | list[Kw]
    product: ProductDocument | str = Field(default_factory=ProductDocument)
    priority: int = LOWEST_PRIORITY

    def call(self, received_at: int, products: Mapping[str, Product]) -> Call:
        """Return the call; `products` are those that a name alone stands for.

        Raises:
            SettingError: if it describes something impossible.
        """
        if isinstance(self.product, str) and self.product not in products:
            known = ", ".join(products) or "none is set"
            raise SettingError(f"product must be one that is set ({known}), got {self.product!r}")
        product = (
            products[self.product] if isinstance(self.product, str) else self.product.product()
        )
        start, end = int(self.start.timestamp()), int(self.end.timestamp())
        if end <= start:
            raise SettingError(f"end must be after start, got {self.end} and {self.start}")
        kw = self.kw if isinstance(self.kw, list) else [self.kw]
        steps = by_half_hour(start, end, [round(each * 1000) for each in kw])
        return Call(self.name, self.direction, steps, received_at, product, self.priority)


def posted(
    content: object, received_at: int, products: Mapping[str, Product] | None = None
) -> Call:
    """Return the call that a posted document describes.

    Raises:
        SettingError: if it describes none; says which value must be what.
    """
    try:
        document = CallDocument.model_validate(content)
    except ValidationError as error:
        raise SettingError(in_words(error)) from error
    return document.call(received_at, products or {})


def in_words(error: ValidationError) -> str:
    """Return the first thing that is wrong with a document, in one line."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the document"
    value = first["input"]
    got = f"{value!r:.60}" if first["type"] != "missing" else "nothing"
    return f"{where}: {first['msg'][:1].lower()}{first['msg'][1:]}, got {got}"


def to_json(call: Call) -> dict[str, Any]:
    """Return a call as JSON, all of it; `from_json` reads it again."""
    product = call.product
    return {
        "name": call.name,
        "direction": call.direction.value,
        "start": _time(call.starts_at),
        "end": _time(call.ends_at),
        "steps": [[step.starts_at, step.ends_at, step.power_w] for step in call.steps],
        "received_at": call.received_at,
        "product": {
            "name": product.name,
            "price_kwh": product.price_kwh / PRICE_PER_YEN,
            "price_kw": product.price_kw / PRICE_PER_YEN,
            "penalty": product.penalty,
            "tolerance": product.tolerance,
            "response_seconds": product.response_seconds,
            "basis": product.basis.value,
        },
        "priority": call.priority,
        "source": call.source.value,
        "external": call.external,
        "revision": call.revision,
    }


def from_json(content: Mapping[str, Any]) -> Call:
    """Return the call that `to_json` wrote."""
    return Call(
        content["name"],
        Direction(content["direction"]),
        tuple(Step(*step) for step in content["steps"]),
        content["received_at"],
        ProductDocument(**content["product"]).product(),
        content["priority"],
        Source(content["source"]),
        content["external"],
        content["revision"],
    )


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, JST).isoformat()
