"""Lists and exemptions that the store holds: what changes them, who did, and how every process learns of it."""

from riskd.ledger.ledger import LONGEST_EXEMPTION, PAGE, Ledger
from riskd.ledger.wire import (
    MAX_VALUES,
    Additions,
    ChangedEntry,
    Exemption,
    ExemptionPage,
    ExemptSubject,
    Grant,
    ListedEntry,
    ListPage,
    ListReceipt,
    ListState,
    ListStates,
    Removals,
    Withdrawal,
)

__all__ = [
    "LONGEST_EXEMPTION",
    "MAX_VALUES",
    "PAGE",
    "Additions",
    "ChangedEntry",
    "ExemptSubject",
    "Exemption",
    "ExemptionPage",
    "Grant",
    "Ledger",
    "ListPage",
    "ListReceipt",
    "ListState",
    "ListStates",
    "ListedEntry",
    "Removals",
    "Withdrawal",
]
