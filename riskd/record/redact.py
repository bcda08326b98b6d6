"""Keeps secrets out of the facts: what a caller's free text may still say once it is recorded.

Facts hold no raw identifier, but they do hold words that a caller chose: an action's name, an `acr`, a path, a city, a
browser's name. A password that strays into one of them must not reach the disk. So each such text is kept only when

- the policy itself spells it (`words`), or
- it is shaped like a word or a name and holds no digit, `@` or other sign of a secret;

else a *keyed* hash stands in its place (a plain one could be guessed), the same for the same text, so that whatever
compares two texts still sees what it saw. Attributes are kept only when the policy lists or declares them, and even
then not when they look like an e-mail address, an IP address, a card number or a token that the policy does not spell.

Facts are redacted before they are judged: what is judged is then what is recorded, and comes out the same again.
"""

import re
from collections.abc import Callable, Collection
from ipaddress import ip_address
from operator import attrgetter

from msgspec.structs import replace

from riskd.facts import AttributeValue, Facts, SubjectHistory
from riskd.record.schema import OutcomeRecord

MAX_VALUE_BYTES = 256
"""An attribute's text beyond this is masked, so that 64 attributes fit into a record."""
_REMEMBERED = 4096
_SHORTEST_CARD = 10**14
"""The least number of 15 digits."""

# login · changeEmail · change_email · urn:mace:gold · pwd; two digits at most are an acr level: 0, 1, 20.
_WORD = re.compile(r"(?:[A-Za-z][a-z]{0,23}|[A-Z]{1,8})(?:[A-Z][a-z]{0,23}|[-_.:/][A-Za-z][a-z]{0,23}){0,7}|\d{1,2}")
_SEGMENT = re.compile(r"[A-Za-z][a-z]{0,23}(?:[A-Z][a-z]{0,23}|[-_.][A-Za-z][a-z]{0,23}){0,3}|v\d{1,2}|")
# Frankfurt am Main · 's-Hertogenbosch · AT&T Services, Inc. · Mac OS X|Mobile Safari
_NAME = re.compile(r"(?:[^\W\d_]|[ '\u2019.,&()|/-]){1,96}")
_EMAIL = re.compile(r"[^\s@]@[^\s@]")
_ADDRESS = re.compile(r"[0-9A-Fa-f.:]{7,45}")
_CARD = re.compile(r"(?:\d[ -]?){13,19}")
_TOKEN = re.compile(r"[A-Za-z0-9+/_=.-]{24,}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})

_DEVICE_NAMES = ("os_family", "browser_family", "family", "hint_os_family", "hint_browser_family", "platform_os_family")
_words_in = attrgetter("subject.type", "subject.acr", "action.name", "action.resource_type", "action.method")
_names_in = attrgetter("network.organization", "place.city", *(f"device.{name}" for name in _DEVICE_NAMES))


class Redaction:
    """What one policy lets be recorded."""

    def __init__(
        self, mask: Callable[[str], str], *, attributes: Collection[str] = (), words: Collection[str] = ()
    ) -> None:
        """Mask with the keyed hash `mask`.

        `attributes` are the names that may be recorded. `words` are those that the policy spells: names of actions,
        acr and amr values, methods, types, and the literal segments of its path patterns.
        """
        self._mask = mask
        self._attributes = frozenset(attributes)
        self._words = _METHODS.union(words)
        self._clean: dict[re.Pattern[str], set[str | None]] = {shape: {None} for shape in (_WORD, _NAME, _SEGMENT)}
        self._harmless: set[str | None] = set()

    def facts(self, facts: Facts) -> Facts:
        """Return the facts as they may be recorded: the same object when nothing had to go."""
        changed = {} if self._is_clean(facts) else self._changed(facts)
        if facts.attributes:
            kept = {name: self._value(value) for name, value in facts.attributes.items() if name in self._attributes}
            if kept != facts.attributes:
                changed["attributes"] = kept
        return replace(facts, **changed) if changed else facts

    def _changed(self, facts: Facts) -> dict[str, object]:
        """Return the groups in which a text must change."""
        changed: dict[str, object] = {}
        for group, change in (
            ("subject", self._subject(facts)),
            ("action", self._action(facts)),
            ("network", self._texts(facts.network, _NAME, "organization")),
            ("place", self._texts(facts.place, _NAME, "city")),
            ("device", self._texts(facts.device, _NAME, *_DEVICE_NAMES)),
            ("history", self._history(facts.history)),
        ):
            if change:
                changed[group] = replace(getattr(facts, group), **change)
        return changed

    def _is_clean(self, facts: Facts) -> bool:
        """Whether every text was found clean before: the way of nearly every decision, in a few set look-ups."""
        words, names = self._clean[_WORD], self._clean[_NAME]
        subject = facts.subject
        return (
            words.issuperset(_words_in(facts))
            and names.issuperset(_names_in(facts))
            and (subject.amr is None or words.issuperset(subject.amr))
            and (subject.enrolled_factors is None or words.issuperset(subject.enrolled_factors))
            and facts.action.path in self._clean[_SEGMENT]
            and (facts.history is None or facts.history.device_family in names)
        )

    def outcome(self, record: OutcomeRecord) -> OutcomeRecord:
        """Return the outcome as it may be recorded."""
        change = self._texts(record, _WORD, "acr", "method") | self._tuples(record, "amr")
        return replace(record, **change) if change else record

    def _subject(self, facts: Facts) -> dict[str, object]:
        subject = facts.subject
        return self._texts(subject, _WORD, "type", "acr") | self._tuples(subject, "amr", "enrolled_factors")

    def _action(self, facts: Facts) -> dict[str, object]:
        action = facts.action
        change = self._texts(action, _WORD, "name", "resource_type", "method")
        if action.path is not None:
            path = "/".join(self._text(segment, _SEGMENT) for segment in action.path.split("/"))
            if path != action.path:
                change["path"] = path
            else:
                _remember(path, self._clean[_SEGMENT])
        return change

    def _history(self, history: SubjectHistory | None) -> dict[str, object]:
        return self._texts(history, _NAME, "device_family") if history is not None else {}

    def _texts(self, group: object, shape: re.Pattern[str], *names: str) -> dict[str, object]:
        """Return the fields of a group whose text must change."""
        change: dict[str, object] = {}
        for name in names:
            text = getattr(group, name)
            if text is not None and (kept := self._text(text, shape)) is not text:
                change[name] = kept
        return change

    def _tuples(self, group: object, *names: str) -> dict[str, object]:
        change: dict[str, object] = {}
        for name in names:
            texts: tuple[str, ...] = getattr(group, name) or ()
            kept = tuple(self._text(text, _WORD) for text in texts)
            if kept != texts:
                change[name] = kept
        return change

    def _text(self, text: str, shape: re.Pattern[str]) -> str:
        if text in self._clean[shape]:
            return text
        if text in self._words or shape.fullmatch(text):
            _remember(text, self._clean[shape])
            return text
        return self._mask(text)

    def _value(self, value: AttributeValue) -> AttributeValue:
        if isinstance(value, str):
            if value in self._harmless or value in self._words:
                return value
            if len(value.encode()) > MAX_VALUE_BYTES or looks_secret(value):
                return self._mask(value)
            _remember(value, self._harmless)
            return value
        if abs(value) < _SHORTEST_CARD or (isinstance(value, float) and not value.is_integer()):
            return value
        text = str(value)
        return self._mask(text) if _is_card(text.removesuffix(".0")) else value


def _remember(text: str, clean: set[str | None]) -> None:
    # Callers choose the texts, so the memory has an end, in number and in length.
    if len(text) > 256:
        return
    if len(clean) >= _REMEMBERED:
        clean.clear()
        clean.add(None)
    clean.add(text)


def looks_secret(text: str) -> bool:
    """Whether a text holds an e-mail address, an IP address, a card number or a token (24 characters, mixed)."""
    return bool(
        _EMAIL.search(text)
        or any(_is_address(match[0]) for match in _ADDRESS.finditer(text))
        or any(_is_card(match[0]) for match in _CARD.finditer(text))
        or any(_is_mixed(match[0]) for match in _TOKEN.finditer(text))
    )


def _is_address(text: str) -> bool:
    try:
        ip_address(text.strip(".:"))
    except ValueError:
        return False
    return True


def _is_card(text: str) -> bool:
    """Whether 15 to 19 digits pass the Luhn sum (ISO/IEC 7812-1, annex B); 13 digits would be every tenth timestamp."""
    digits = [int(letter) for letter in text if letter.isdecimal()]
    if not 15 <= len(digits) <= 19:
        return False
    doubled = (divmod(2 * digit, 10) for digit in digits[-2::-2])
    return (sum(digits[::-2]) + sum(tens + ones for tens, ones in doubled)) % 10 == 0


def _is_mixed(text: str) -> bool:
    return any(letter.isdigit() for letter in text) and any(letter.isalpha() for letter in text)
