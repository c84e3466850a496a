"""What a device of one's own writes over its life per unit of money.

Price, years, speed, uptime and electricity are all given and all shown: published figures of this kind often
leave one of them out. It does not know repairs, a second use of the device, or interest.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from understudy.errors import ConfigError

__all__ = ["DeviceLife", "device_life"]

_SECONDS_PER_YEAR = 365.25 * 86_400
_JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, slots=True)
class DeviceLife:
    """A device's life in numbers; money is in the one currency that it was asked in.

    Attributes
    ----------
    price, years, tokens_per_second, uptime, watts, price_per_kwh
        As given; `watts` and `price_per_kwh` are ``None`` where electricity is left out.
    tokens
        Written over its life.
    electricity
        Cost of electricity over its life, while it writes; ``None`` where it is left out.
    total
        Price and, where known, electricity.
    tokens_per_unit
        Tokens per unit of money.
    """

    price: float
    years: float
    tokens_per_second: float
    uptime: float
    watts: float | None
    price_per_kwh: float | None
    tokens: float
    electricity: float | None
    total: float
    tokens_per_unit: float

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def device_life(
    *,
    price: float,
    years: float,
    tokens_per_second: float,
    uptime: float = 1.0,
    watts: float | None = None,
    price_per_kwh: float | None = None,
) -> DeviceLife:
    """Tokens per unit of money: ``speed * seconds * uptime / (price + electricity)``.

    Parameters
    ----------
    price
        Of the device, in any currency.
    years
        Of use, of 365.25 days.
    uptime
        Share of the time that it writes, in (0, 1].
    watts, price_per_kwh
        Power while writing, and electricity in the same currency; both or none.

    Raises
    ------
    ConfigError
        If a value is out of range, or only one of the two for electricity is given.
    """
    above = {"price": price, "years": years, "tokens_per_second": tokens_per_second}
    for name, value in above.items():
        if not (math.isfinite(value) and value > 0):
            raise ConfigError(f"{name} must be above 0", given=repr(value))
    if not 0 < uptime <= 1:
        raise ConfigError("uptime must be above 0 and at most 1", given=repr(uptime))
    if (watts is None) != (price_per_kwh is None):
        raise ConfigError("electricity needs both the power in watts and the price per kWh")
    active_seconds = years * _SECONDS_PER_YEAR * uptime
    electricity = None
    if watts is not None and price_per_kwh is not None:
        for name, value in (("watts", watts), ("price_per_kwh", price_per_kwh)):
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"{name} must be 0 or more", given=repr(value))
        electricity = active_seconds * watts / _JOULES_PER_KWH * price_per_kwh
    tokens = active_seconds * tokens_per_second
    total = price + (electricity or 0.0)
    return DeviceLife(
        price,
        years,
        tokens_per_second,
        uptime,
        watts,
        price_per_kwh,
        tokens,
        electricity,
        total,
        tokens / total,
    )
