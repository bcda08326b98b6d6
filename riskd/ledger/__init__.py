"""Lists and exemptions that the store holds: what changes them, who did, and how every process learns of it."""

from riskd.ledger.ledger import Ledger

__all__ = ["Ledger"]
