"""Every mistake in a policy file is found, with its line and the nearest right words."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from riskd.errors import Mistake, PolicyError
from riskd.policy.load import MAX_BYTES, SHIPPED, json_schema, load, parse

DEFAULT = (SHIPPED / "default.yaml").read_bytes()
CASES = Path(__file__).parent / "broken.yaml"
LADDER = """\
version: 1
assurance:
  levels:
    - {level: 2, acr: {oidc: [two]}, amr: [otp], max_age: 15m}
"""


def mistakes(content: str | bytes) -> tuple[Mistake, ...]:
    """The mistakes in a policy's text."""
    with pytest.raises(PolicyError) as caught:
        parse(content.encode() if isinstance(content, str) else content, "riskd.yaml")
    assert str(caught.value).startswith("riskd.yaml: ")
    assert "\n" not in str(caught.value)
    return caught.value.mistakes


def broken() -> Iterable[tuple[str, str, list[str]]]:
    """Broken policies from the table: what it is, its text, what is said."""
    cases = YAML(typ="safe", pure=True).load(CASES.read_text(encoding="utf-8"))
    return [(name, LADDER * case.get("ladder", True) + case["text"], case["says"]) for name, case in cases.items()]


@pytest.mark.parametrize(("text", "says"), [pytest.param(text, says, id=name) for name, text, says in broken()])
def test_broken(text: str, says: list[str]) -> None:
    """A broken file yields exactly these mistakes: line, place, what is wrong, and the nearest right words."""
    assert [str(mistake) for mistake in mistakes(text)] == says


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\n\n# only a comment\n", "is empty"),
        (b"version: 1\xff\n", "is not UTF-8 (byte 10)"),
        (DEFAULT.decode().encode("utf-16"), "is not UTF-8 (byte 0)"),
        (b"version: 1\xed\xa0\x80", "is not UTF-8 (byte 10)"),
        (b"version: 1\0", "not YAML: unacceptable character"),
        (b"- 1\n- 2\n", "must be a mapping"),
        (b"42", "must be a mapping"),
        (b"a: " + b"[" * 100_000, "nested over 32 deep"),
        (b"{a: " * 5000, "nested over 32 deep"),
        (b"level: " + b"9" * 5000, "not YAML: Exceeds the limit"),
        (b"level: !!int x", "not YAML: invalid literal"),
        (b"a: !!float x", "not YAML: could not convert"),
        (b"? {a: {b: c}}\n: d\n", "has a mapping in place of a key"),
        (b"<<: 5", "not YAML: expected a mapping"),
        (b"a: 1\n---\nb: 2\n", "not YAML: but found another document"),
        (b"%YAML 9.9\n---\na: 1\n", "not YAML: found incompatible"),
    ],
)
def test_what_is_no_policy_at_all(content: bytes, says: str) -> None:
    """Content that is no mapping, no YAML or no text is one mistake that says so."""
    (found,) = mistakes(content)
    assert found.message.startswith(says)
    assert found.nearest == ()


def test_alias_bomb() -> None:
    """Aliases are refused at the first one, before they multiply."""
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"
    (found,) = mistakes(bomb)
    assert (found.line, found.message) == (2, "aliases (*name) are not allowed: write it out")


def test_a_huge_number_is_named_without_being_written_out() -> None:
    """A number of thousands of digits is a mistake, not a crash."""
    (found,) = mistakes(f"{LADDER}level: 0x{'f' * 5000}\n")
    assert (found.line, found.path) == (5, "level")
    assert len(found.message) < 200


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, a directory and one that is too large are each one mistake of the whole file."""
    large = tmp_path / "large.yaml"
    large.write_bytes(DEFAULT + b"#" * MAX_BYTES)
    for path, says in (
        (tmp_path / "missing.yaml", "cannot be read: No such file"),
        (tmp_path, "cannot be read: Is a directory"),
        (large, "is larger than 1048576 bytes"),
    ):
        with pytest.raises(PolicyError) as caught:
            load(path)
        (found,) = caught.value.mistakes
        assert (found.line, found.path) == (0, "")
        assert found.message.startswith(says)
        assert str(caught.value).startswith(str(path))


def test_the_largest_file_is_read(tmp_path: Path) -> None:
    """A file of just the largest size is read."""
    path = tmp_path / "riskd.yaml"
    path.write_bytes(DEFAULT + b"#" * (MAX_BYTES - len(DEFAULT)))
    assert load(path).revision == parse(DEFAULT, "").revision


def test_norway_stays_norway() -> None:
    """`NO` is a country, not a no."""
    content = f"{LADDER}signals: {{denied_country: {{countries: [NO, SE]}}}}\n"
    tuning = parse(content.encode(), "").file.signals
    assert tuning.denied_country.countries == ("NO", "SE")


def test_norway_in_old_yaml_is_a_mistake() -> None:
    """A file that asks for YAML 1.1, where `NO` is a no, is not silently misread."""
    (found,) = mistakes(f"%YAML 1.1\n---\n{LADDER}signals: {{denied_country: {{countries: [NO]}}}}\n")
    assert found.path == "signals.denied_country.countries.0"


def test_the_revision_follows_the_content() -> None:
    """Comments, order of keys and spelling of a value leave the revision; every change of content changes it."""
    base = parse(f"{LADDER}level: 2\n".encode(), "").revision
    same = [f"# why\n{LADDER}level: 2  # because\n", f"level: 2\n{LADDER}", f"{LADDER}level: 0x2\n", LADDER]
    assert {parse(text.encode(), "").revision for text in same} == {base}
    others = ["fail_mode: deny", "thresholds: {step_up: 51}", "signals: {new_ip: {weight: 0.0}}", "sensitive: true"]
    assert len({parse(f"{LADDER}{other}\n".encode(), "").revision for other in others} | {base}) == len(others) + 1
    assert len(base) == 12


def test_every_shipped_policy_loads() -> None:
    """The policies that come with riskd have no mistakes, and differ."""
    paths = sorted(SHIPPED.glob("*.yaml"))
    assert [path.stem for path in paths] == ["admin_console", "default", "payments", "sensitive_api"]
    assert len({load(path).revision for path in paths}) == len(paths)


def test_the_json_schema_names_every_key() -> None:
    """The schema for editors is one that knows the top-level keys, refuses others and names its dialect."""
    schema = json_schema()
    assert schema["$schema"].endswith("2020-12/schema")
    assert {"version", "thresholds", "actions", "assurance"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_damaged_files_are_mistakes(data: st.DataObject) -> None:
    """A default policy with any bytes put in any place loads or is a mistake; it never crashes the loader."""
    at = data.draw(st.integers(0, len(DEFAULT)))
    cut = data.draw(st.integers(0, 40))
    noise = data.draw(
        st.one_of(st.binary(max_size=12), st.text(alphabet="{}[]:,-#&*!|>%@`'\" \n\t?~<=0123", max_size=12))
    )
    content = noise if isinstance(noise, bytes) else noise.encode()
    with suppress(PolicyError):
        parse(DEFAULT[:at] + content + DEFAULT[at + cut :], "riskd.yaml")
