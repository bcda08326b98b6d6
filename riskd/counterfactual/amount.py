"""Less money, or money to somebody known."""

from decimal import ROUND_CEILING, Decimal

from msgspec.structs import replace

from riskd.counterfactual.change import Change, in_history, is_fresh, known_age_s
from riskd.facts import Facts

NO_DECIMALS = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF"}
    | {"XPF"}
)
"""Currencies without minor units (ISO 4217); most others have two digits after the point."""
THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
MOST = 1e15
"""Largest amount that the contract takes."""
DIGITS = 3
"""Amounts are told in that many digits."""
DENSE = 1000
"""Minor units below which every amount is told."""
DECADE = 900
"""Amounts of three digits in a decade."""


def smaller_amount(facts: Facts) -> Change | None:
    """With a smaller amount: the largest of three digits, or just below one, that would have done."""
    return _smaller_amount(facts, least=1)


def usual_amount(facts: Facts) -> Change | None:
    """With an amount between the subject's median and the present one, where next to nothing would be odd too."""
    history = facts.history
    if history is None or history.amount_median is None or not 0 < history.amount_median <= MOST:
        return None
    return _smaller_amount(facts, least=_position(_minor(history.amount_median, facts.action.currency or "")))


def known_recipient(facts: Facts) -> Change | None:
    """To a recipient whom the subject paid in a confirmed success."""
    history = facts.history
    if history is None or facts.action.recipient is None or not history.known_recipients:
        return None
    if is_fresh(history.recipient_age_s):
        return None

    def apply(facts: Facts) -> Facts:
        past = facts.history
        return facts if past is None else in_history(facts, recipient_age_s=known_age_s(past))

    return Change("known_recipient", "to a recipient paid before", apply)


def _smaller_amount(facts: Facts, *, least: int) -> Change | None:
    """Offer the amounts from `least` to just below the present one; a larger step is a smaller amount."""
    amount, currency = facts.action.amount, facts.action.currency
    if amount is None or currency is None or not 0 < amount <= MOST:
        return None
    top = _position(_minor(amount, currency) - 1)
    if not 1 <= least <= top:
        return None
    within = "for up to" if least == 1 else "for"

    def at(step: int) -> Change:
        position = top + 1 - step
        units, just_below = _amount_at(position)
        value = float(Decimal(units).scaleb(-_decimals(currency)))
        words = f"below {_shown(units + 1, currency)}" if just_below else f"{within} {_shown(units, currency)}"
        return Change("amount", words, lambda facts: _with_amount(facts, value), value=value, steps=step, at=at)

    return at(top + 1 - least)


def _with_amount(facts: Facts, amount: float) -> Facts:
    before = facts.action.amount or 0.0
    changed = replace(facts, action=replace(facts.action, amount=amount))
    if facts.history is None:
        return changed
    # The sum of the day holds the present amount.
    return in_history(changed, amount_24h=max(0.0, facts.history.amount_24h - before) + amount)


def _decimals(currency: str) -> int:
    return 0 if currency in NO_DECIMALS else 3 if currency in THREE_DECIMALS else 2


def _minor(amount: float, currency: str) -> int:
    """Amount in minor units of its currency (cents), rounded up."""
    return int(Decimal(repr(float(amount))).scaleb(_decimals(currency)).to_integral_value(ROUND_CEILING))


# The amounts that are told stand in one row: each of 1 to 999 minor units; then, decade by decade, just below each
# amount of three digits, and that amount: 999, 1000, 1009, 1010, 1019 … A position in the row starts at 1.


def _position(units: int) -> int:
    """Position of the largest amount told that is not above `units`; 0 for none."""
    if units < DENSE:
        return max(0, units)
    power = len(str(units)) - DIGITS
    lead: int = units // 10**power
    at = DENSE + 2 * ((power - 1) * DECADE + lead - DENSE // 10) + 1
    return at + 1 if units == (lead + 1) * 10**power - 1 else at


def _amount_at(position: int) -> tuple[int, bool]:
    """Amount at a position, in minor units, and whether it is just below a rounder one."""
    if position < DENSE:
        return position, False
    number, half = divmod(position - DENSE, 2)
    power, lead = divmod(number, DECADE)
    units: int = (DENSE // 10 + lead) * 10 ** (power + 1)
    return (units, False) if half else (units - 1, True)


def _shown(units: int, currency: str) -> str:
    """Amount in words: `1,000 EUR`, `12.50 EUR`."""
    decimals = _decimals(currency)
    whole, part = divmod(units, 10**decimals)
    return f"{whole:,}{f'.{part:0{decimals}}' if part else ''} {currency}"
