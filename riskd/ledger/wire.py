"""What `/lists` and `/exemptions` take and answer."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from riskd.contract import Instant, ShortText, Text, Wire
from riskd.policy.named import Of

MAX_VALUES = 1000
"""Entries of one request."""

Values = Annotated[tuple[Text, ...], Field(min_length=1, max_length=MAX_VALUES, fail_fast=True)]


class Additions(Wire):
    """The body of `POST /lists/{name}`."""

    values: Values
    """Entries of the list's kind; one that is there already gets the new expiry, author and reason."""
    until: Instant | None = None
    """When they lapse; missing means never."""
    reason: Text
    """Why; it stands in the audit trail and beside each entry."""


class Removals(Wire):
    """The body of `DELETE /lists/{name}`."""

    values: Values
    """Entries as they were added, or as the list shows them."""
    reason: Text


class ChangedEntry(Wire):
    """What became of one entry."""

    entry: str
    """As the list keeps it: in its one spelling, a subject or device as a keyed hash."""
    status: Literal["added", "changed", "removed", "absent"]


class ListReceipt(Wire):
    """The answer to a change of a list: this worker knows it, the others follow within about a second."""

    name: str
    entries: tuple[ChangedEntry, ...]


class ListedEntry(Wire):
    """One entry of a list in the store."""

    entry: str
    until: datetime | None
    author: str
    """Name of the API key by which it came."""
    reason: str
    added_at: datetime


class ListState(Wire):
    """One of the policy's named lists."""

    name: str
    kind: Literal["deny", "allow"]
    of: Of
    exempts: tuple[str, ...]
    """Of an allow list: the signals that count nothing for what it names."""
    entries: dict[str, int]
    """How many there are in each place that the list has entries from: `policy`, `file`, `store`."""


class ListStates(Wire):
    """The answer of `GET /lists`."""

    lists: tuple[ListState, ...]


class ListPage(Wire):
    """The answer of `GET /lists/{name}`: entries in the store, in no order."""

    name: str
    entries: tuple[ListedEntry, ...]
    cursor: int
    """Of the next page; 0 after the last. What is in the list all the while comes at least once."""


class ExemptSubject(Wire):
    """Whom an exemption is for."""

    id: Text
    type: ShortText = "user"


class Grant(Wire):
    """The body of `POST /exemptions`: a signal that counts nothing for a subject for a while."""

    subject: ExemptSubject
    code: ShortText
    until: Instant
    """When it lapses: at most 90 days ahead."""
    reason: Text


class Withdrawal(Wire):
    """The body of `DELETE /exemptions`: an exemption by its id, or by subject and code."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{24}$")] | None = None
    subject: ExemptSubject | None = None
    code: ShortText | None = None
    reason: Text

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.id is None) is (self.subject is None) or (self.subject is None) is not (self.code is None):
            raise ValueError("give the exemption's id, or subject and code")
        return self


class Exemption(Wire):
    """One exemption."""

    id: str
    """As facts and audit trail name it."""
    subject: str
    """Keyed hash."""
    code: str
    until: datetime
    author: str
    reason: str
    granted_at: datetime


class ExemptionPage(Wire):
    """The answer of `GET /exemptions`, in no order."""

    exemptions: tuple[Exemption, ...]
    cursor: int
    """Of the next page; 0 after the last."""
