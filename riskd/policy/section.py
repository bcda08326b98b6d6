"""What sections of the policy file are made of: their common form, durations and other kinds of values."""

import re
from datetime import timedelta
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_DURATION = re.compile(r"^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def parse_duration(value: object) -> object:
    """Turn `5m` or a number of seconds into a timedelta; leaves what it does not know to pydantic."""
    try:
        if isinstance(value, str) and (found := _DURATION.match(value.strip())):
            return timedelta(seconds=float(found[1]) * _UNIT_S[found[2]])
        if isinstance(value, int | float) and not isinstance(value, bool):
            return timedelta(seconds=value)
    except OverflowError as error:
        raise ValueError("longer than any duration") from error
    if isinstance(value, timedelta):
        return value
    raise ValueError("not a duration: write 30s, 5m, 12h or 7d")


Duration = Annotated[timedelta, BeforeValidator(parse_duration), Field(ge=timedelta(0), le=timedelta(days=3650))]
Percent = Annotated[float, Field(ge=0, le=100)]
Amounts = dict[Annotated[str, Field(pattern=r"^[A-Z]{3}$")], Annotated[float, Field(ge=0, le=1e15)]]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


class Section(BaseModel):
    """What every part of a policy has in common: frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Part = TypeVar("Part", bound=Section)


def inherited(section: Part, beneath: Part) -> Part:
    """Return a section as it holds: what it leaves out comes from the section beneath."""
    return beneath.model_copy(update={name: getattr(section, name) for name in section.model_fields_set})


__all__ = ["Amounts", "Country", "Duration", "Part", "Percent", "Section", "inherited", "parse_duration"]
