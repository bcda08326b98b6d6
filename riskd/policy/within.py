"""Where in the file a character of a YAML text stands, however the text is written.

YAML indents, folds, quotes and escapes, but it neither adds, drops nor reorders what is not white space: the n-th such
character of the text is the n-th that is written.
"""

import re
from collections.abc import Iterator

from riskd.policy.text import Place, Spot

_BLANK = frozenset(" \t\r\n\x85\u2028\u2029")
_BLANK_ESCAPES = frozenset("tnrNLP \t\r\n")
_ESCAPE = re.compile(r"(?s)\\(?:x(.{2})|u(.{4})|U(.{8})|.)|.")


def within(source: str, place: Place, offset: int) -> Spot:
    """Return where the character at `offset` of the text at `place` stands in the file's `source`.

    White space, and the end of the text, stand right behind what comes before them.
    """
    written = source[place.begins : place.ends]
    before = sum(letter not in _BLANK for letter in place.text[:offset])
    stands = offset < len(place.text) and place.text[offset] not in _BLANK
    wanted = before if stands else before - 1
    at = 0 if wanted < 0 else _inked(written)[wanted] + (not stands)
    index = place.begins + at
    line_start = source.rfind("\n", 0, index) + 1
    return Spot(source.count("\n", 0, index) + 1, index - line_start + 1)


def _inked(written: str) -> list[int]:
    """Return where each character stands that is not white space, of a text as it is written."""
    style = written[:1]
    if style == '"':
        return [at for at, letter in _double_quoted(written) if letter not in _BLANK]
    begin = written.find("\n") + 1 if style in {"|", ">"} else int(style == "'")
    spots = [at for at in range(begin, len(written)) if written[at] not in _BLANK]
    if style == "'":  # two quotes are one
        seconds = {found.end() - 1 for found in re.finditer("''", written[begin:])}
        spots = [at for at in spots if at - begin not in seconds]
    return spots


def _double_quoted(written: str) -> Iterator[tuple[int, str]]:
    """Yield place and meaning of each character between double quotes."""
    for found in _ESCAPE.finditer(written, 1):
        code = found[0][1:2]
        if digits := found[1] or found[2] or found[3]:
            yield found.start(), chr(int(digits, 16))
        else:
            yield found.start(), (" " if code in _BLANK_ESCAPES else code) if code else found[0]


__all__ = ["within"]
