"""How far a candidate may be from the current model, by itself so that the command line can say it."""

from msgspec import Struct


class Margins(Struct, frozen=True):
    """How far a candidate may be from the current model."""

    catch: float = 0.02
    """Share of the attacks: by how much catch may, at worst, have fallen. A fall that is certain is refused at any."""
    alarms: float = 0.003
    """False alarms per subject-day: by how much they may, at worst, have risen."""
    scores: float = 0.1
    """Population stability index of the decisions' scores, asked where labels are too few; below 0.1 is usually called
    no shift worth a look, above 0.25 a large one."""
