"""Mistakes in custom signals stand where the wrong word stands, however the expression is written in YAML."""

import pytest

from riskd.policy.text import places
from riskd.policy.within import within
from tests.policy.test_load import LADDER, mistakes

WORD = "action.amout"
WRITTEN = {
    "plain": "    when: network.tor && action.amout > 1.0\n",
    "plain over lines": "    when: network.tor &&\n\n        action.amout > 1.0\n",
    "quoted": "    when: \"attributes.plan == 'é' && action.amout > 1.0\"\n",
    "quoted over lines": '    when: "network.tor &&\n      \\\n      action.amout > 1.0"\n',
    "escapes": '    when: "attributes.plan == \\"\\u00e9\\\\n\\" &&\\n\\taction.amout > 1.0"\n',
    "escaped space": '    when: "network.tor\\x20&&\\ action.amout > 1.0"\n',
    "single quotes": "    when: 'attributes.plan == ''😀'' && action.amout > 1.0'\n",
    "literal block": "    when: |\n      network.tor  // the worst\n        && action.amout > 1.0\n",
    "kept block": "    when: |2+  # as it is\n\n      network.tor\n      && action.amout > 1.0\n\n",
    "folded block": '    when: >-\n      network.tor &&\n\n        subject.type == "#" &&\n      action.amout > 1.0\n',
    "windows lines": "    when: |\r\n      network.tor &&\r\n      action.amout > 1.0\r\n",
}
BEFORE = f"{LADDER}attributes: {{plan: text}}\ncustom_signals:\n  - code: a\n    weight: 0\n    text: größer 😀\n"


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_the_place_is_that_of_the_word(written: str) -> None:
    """Line and column point at the wrong word in the file itself."""
    text = BEFORE + written
    (found,) = mistakes(text)
    assert (found.path, found.nearest) == ("custom_signals.0.when", ("action.amount", "features.amount"))
    assert text.split("\n")[found.line - 1][found.column - 1 :].startswith(WORD)


def test_in_a_mapping_on_one_line() -> None:
    """Flow style is a way to write as well."""
    text = f'{LADDER}custom_signals: [{{code: a, weight: 0, text: b, when: "network.tor || action.amout > 1.0"}}]\n'
    (found,) = mistakes(text)
    assert text.split("\n")[found.line - 1][found.column - 1 :].startswith(WORD)


def test_what_ends_too_early_is_told_at_its_end() -> None:
    """The end of an expression is right behind its last character, not on the next key."""
    text = BEFORE + "    when: |\n      network.tor &&   \n\n    floor: deny\n"
    (found,) = mistakes(text)
    assert (found.line, found.message) == (text[: text.index("&&")].count("\n") + 1, "ends too early")
    assert text.split("\n")[found.line - 1][: found.column - 1].endswith("&&")


@pytest.mark.parametrize("written", ['""', '"  "', "''", "|\n\n", "' '"])
def test_a_blank_text_has_a_place(written: str) -> None:
    """Of nothing the end stands where it begins."""
    text = f"a: {written}\n"
    place = places(text, [("a",)])["a",]
    assert within(text, place, len(place.text)) == (1, 4)


LOOPS = '"subject.amr.exists(m, subject.enrolled_factors.exists(f, f == m))"'
SIGNAL = "{{code: {code}, weight: 0, text: b, when: {when}{more}}}"
MORE = {
    "built-in code": (
        [SIGNAL.format(code="tor_exit", when="network.tor", more="")],
        "'tor_exit' is a built-in signal: choose another code",
        "tor_exit",
        (),
    ),
    "code twice": (
        [SIGNAL.format(code=code, when="network.tor", more="") for code in ("a", "b", "a")],
        "two custom signals are called 'a'",
        "a, weight: 0, text: b, when: network.tor}]",
        (),
    ),
    "unknown class": (
        [SIGNAL.format(code="a", when="network.tor", more=", actions: [othr]")],
        "no such class of actions: 'othr'",
        "othr",
        ("other",),
    ),
    "code in capitals": (
        [SIGNAL.format(code="Big", when="network.tor", more="")],
        "should match pattern",
        "Big",
        (),
    ),
    "no text where an expression stands": (
        [SIGNAL.format(code="a", when="true", more="")],
        "should be a valid string",
        "true",
        (),
    ),
    "over the budget together": (
        [
            SIGNAL.format(code=f"a{n}", when=LOOPS, more="")
            for n in range(5)
        ],
        "may take 21,135 steps together, over the budget of 20,000",
        "custom_signals",
        (),
    ),
    "more variables than a reason tells": (
        [SIGNAL.format(code="a", when=" + ".join(f"features.{n}" for n in (
            "amount", "amount_24h", "auth_age_minutes", "leaked", "email_disposable", "bot", "tor", "proxy", "hosting",
            "history_days", "attempts_5m", "attempts_1h", "attempts_24h", "ips_5m", "ips_1h", "ips_24h", "failures_10m",
            "failures_1h", "failure_ips_1h", "sensitive_10m", "subjects_on_ip_1h", "account_age_days", "familiar",
            "path_obfuscated", "reported_days",
        )) + " > 1.0", more="")],
        "reads 25 variables, over 24",
        "features.amount",
        (),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MORE.values(), ids=MORE)
def test_other_mistakes(case: tuple[list[str], str, str, tuple[str, ...]]) -> None:
    """Codes that are taken, classes that nobody declares, and what costs too much are mistakes at their words."""
    signals, message, word, nearest = case
    text = f"{LADDER}custom_signals: [{', '.join(signals)}]\n"
    (found,) = mistakes(text)
    assert message in found.message
    assert text.split("\n")[found.line - 1][found.column - 1 :].startswith(word)
    assert found.nearest == nearest


@pytest.mark.parametrize("name", ["plan-type", "in", "true", "7th", "", "a.b"])
def test_an_attribute_that_no_expression_could_name(name: str) -> None:
    """Attributes are declared under names that CEL can say."""
    found = mistakes(f'{LADDER}attributes: {{"{name}": text}}\n')
    assert [mistake.path for mistake in found] == [f"attributes.{name}"]


def test_several_mistakes_in_several_signals() -> None:
    """Every signal's mistakes are told in one go, top to bottom."""
    text = f"{BEFORE}    when: network.tro && place.cuntry == 'x'\n  - {{code: b, weight: 0, text: c, when: tor}}\n"
    found = mistakes(text)
    assert [mistake.nearest[0] for mistake in found] == ["network.tor", "place.country", "network.tor"]
    assert [mistake.line for mistake in found] == sorted(mistake.line for mistake in found)
