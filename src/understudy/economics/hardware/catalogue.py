"""Known devices, rented hours, electricity and currencies: published figures with source and year.

Lists are short on purpose: a figure that could not be stated with its source is left out, and a cell that is
not known is empty. Prices age; each carries its year, and every command takes your own instead.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import date
from functools import cache
from typing import Any

from understudy.economics.hardware.device import Device
from understudy.economics.tables import Row, find_row, number_in, read_table, text_in

__all__ = [
    "CloudPrice",
    "Currency",
    "Electricity",
    "cloud_prices",
    "cloud_prices_of",
    "currencies",
    "electricity_prices",
    "find_cloud_price",
    "find_device",
    "find_electricity",
    "known_devices",
    "rent_offer",
]

_DEVICE_FILES = ("accelerators.csv", "processors.csv", "phones.csv")
_LISTING = "`understudy plan device --list-devices` lists all"


@dataclass(frozen=True, slots=True)
class CloudPrice:
    """What an hour of an instance costs.

    Attributes
    ----------
    id, provider
        The instance's name, and whose it is.
    device, n_devices
        Id of the device inside, and how many.
    usd_per_hour
        Of the whole instance, on demand.
    source, as_of
        Where from, and of which year.
    """

    id: str
    provider: str
    device: str
    n_devices: int
    usd_per_hour: float
    source: str
    as_of: str

    @property
    def usd_per_device_hour(self) -> float:
        """Of one of its devices."""
        return self.usd_per_hour / self.n_devices

    @property
    def words(self) -> str:
        """Whose offer it is, from where and of when, and which part of it one device is."""
        part = "" if self.n_devices == 1 else f", 1/{self.n_devices} of an instance of {self.n_devices}"
        return f"{self.provider} {self.id}{part}, {self.source}, {self.as_of}"

    def whole(self, n_devices: int) -> int:
        """Devices that have to be rented to have `n_devices`: instances are not rented in parts."""
        return math.ceil(n_devices / self.n_devices) * self.n_devices

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {**asdict(self), "usd_per_device_hour": self.usd_per_device_hour}


@dataclass(frozen=True, slots=True)
class Electricity:
    """An average price of electricity, in its own currency per kilowatt-hour."""

    id: str
    region: str
    use: str
    currency: str
    price_per_kwh: float
    year: str
    source: str

    def usd_per_kwh(self) -> float:
        """In dollars, by the currency's rate in the catalogue."""
        if self.currency == "USD":
            return self.price_per_kwh
        return self.price_per_kwh / currencies()[self.currency].units_per_usd


@dataclass(frozen=True, slots=True)
class Currency:
    """How many units buy one dollar, on the average of a year."""

    id: str
    units_per_usd: float
    year: str
    source: str


def _sure(row: Row, column: str) -> float:
    value = number_in(row, column)
    assert value is not None, f"{column} is empty in {dict(row)}"
    return value


def _device(row: Row) -> Device:
    rates = {name: number_in(row, f"{name}_flop_per_second") for name in ("fp32", "bf16", "fp8", "int8")}
    released = text_in(row, "released")
    return Device(
        id=row["id"],
        name=row["name"],
        kind=row["kind"],
        memory_bytes=number_in(row, "memory_bytes"),
        bandwidth_bytes_per_second=number_in(row, "bandwidth_bytes_per_second"),
        flop_per_second={name: rate for name, rate in rates.items() if rate is not None},
        tdp_watts=number_in(row, "tdp_watts"),
        battery_joules=number_in(row, "battery_joules"),
        price_usd=number_in(row, "price_usd"),
        price_note=text_in(row, "price_note"),
        price_date=text_in(row, "price_date"),
        released=None if released is None else date.fromisoformat(released),
        source=text_in(row, "source"),
        as_of=text_in(row, "as_of"),
    )


@cache
def known_devices() -> dict[str, Device]:
    """All devices by id: accelerators, processors, phones."""
    found = [_device(row) for name in _DEVICE_FILES for row in read_table(__package__, name)]
    return {device.id: device for device in found}


def find_device(name: str) -> Device:
    """A device by id.

    Raises
    ------
    ConfigError
        If there is none; it names near ones.
    """
    return find_row(known_devices(), name, what="device", listing=_LISTING)


@cache
def cloud_prices() -> dict[str, CloudPrice]:
    """All rented instances by id."""
    return {
        row["id"]: CloudPrice(
            row["id"],
            row["provider"],
            row["device"],
            int(row["n_devices"]),
            _sure(row, "usd_per_hour"),
            row["source"],
            row["as_of"],
        )
        for row in read_table(__package__, "cloud_prices.csv")
    }


def cloud_prices_of(device: str) -> list[CloudPrice]:
    """Instances that hold a device, cheapest per device first."""
    found = [one for one in cloud_prices().values() if one.device == device]
    return sorted(found, key=lambda one: one.usd_per_device_hour)


def rent_offer(device: str, n_devices: int = 1) -> CloudPrice | None:
    """The offer that rents `n_devices` of a device for least, in whole instances; ``None`` where there is none."""
    return min(
        cloud_prices_of(device),
        key=lambda one: one.usd_per_device_hour * one.whole(n_devices),
        default=None,
    )


def find_cloud_price(name: str) -> CloudPrice:
    """An instance by id.

    Raises
    ------
    ConfigError
        If there is none; it names near ones.
    """
    return find_row(cloud_prices(), name, what="instance", listing=f"known: {', '.join(cloud_prices())}")


@cache
def electricity_prices() -> dict[str, Electricity]:
    """All electricity prices by id."""
    return {
        row["id"]: Electricity(
            row["id"],
            row["region"],
            row["use"],
            row["currency"],
            _sure(row, "price_per_kwh"),
            row["year"],
            row["source"],
        )
        for row in read_table(__package__, "electricity.csv")
    }


def find_electricity(name: str) -> Electricity:
    """An electricity price by id.

    Raises
    ------
    ConfigError
        If there is none; it names near ones.
    """
    known = electricity_prices()
    return find_row(known, name, what="electricity price", listing=f"known: {', '.join(known)}")


@cache
def currencies() -> dict[str, Currency]:
    """Currencies by code."""
    return {
        row["id"]: Currency(row["id"], _sure(row, "units_per_usd"), row["year"], row["source"])
        for row in read_table(__package__, "currencies.csv")
    }
