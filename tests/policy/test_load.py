"""Every mistake in a policy file is found, with its line, column and the nearest right words."""

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
    assert str(caught.value).startswith("riskd.yaml:")
    assert "\n" not in str(caught.value)
    return caught.value.mistakes


def broken() -> Iterable[tuple[str, str, list[str]]]:
    """Broken policies from the table: what it is, its text, what is said."""
    cases = YAML(typ="safe", pure=True).load(CASES.read_text(encoding="utf-8"))
    return [(name, LADDER * case.get("ladder", True) + case["text"], case["says"]) for name, case in cases.items()]


@pytest.mark.parametrize(("text", "says"), [pytest.param(text, says, id=name) for name, text, says in broken()])
def test_broken(text: str, says: list[str]) -> None:
    """A broken file yields exactly these mistakes: line, column, path, what is wrong, and the nearest right words."""
    assert [mistake.at("riskd.yaml") for mistake in mistakes(text)] == [f"riskd.yaml:{said}" for said in says]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\n\n# only a comment\n", "is empty"),
        (b"version: 1\xff\n", "is not UTF-8 (byte 10)"),
        (DEFAULT.decode().encode("utf-16"), "is not UTF-8 (byte 0)"),
        (b"version: 1\xed\xa0\x80", "is not UTF-8 (byte 10)"),
        (b"version: 1\0", "not YAML: control characters are not allowed"),
        (b"- 1\n- 2\n", "must be a mapping"),
        (b"42", "must be a mapping"),
        (b"a: " + b"[" * 100_000, "nested over 32 deep"),
        (b"{a: " * 5000, "nested over 32 deep"),
        (b"level: " + b"9" * 5000, "a number of 5000 digits"),
        (b"level: !!int x", "tags (!!int) are not allowed"),
        (b"level: ! 2", "tags (!) are not allowed"),
        (b"level: !python/object:os.system {}", "tags (!python/object:os.system) are not allowed"),
        (b"? {a: {b: c}}\n: d\n", "a key must be text"),
        (b"a: &b 1\n*b : 2\n", "a key must be text"),
        (b"a: 1\n---\nb: 2\n", "a second document begins here"),
        (b'a: "\\ud800"', "not YAML: found invalid Unicode character escape code"),
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
    assert found.message == "asks for YAML 1.1; policies are YAML 1.2"
    assert parse(f"%YAML 1.2\n---\n{LADDER}".encode(), "").revision == parse(LADDER.encode(), "").revision


def test_a_byte_order_mark_is_no_mistake() -> None:
    """A file that an editor began with a byte order mark reads like one without."""
    assert parse(f"\ufeff{LADDER}".encode(), "").revision == parse(LADDER.encode(), "").revision


def test_a_control_character_is_named_by_its_line() -> None:
    """A bell in the middle of a file is a mistake of its line, also behind letters of several bytes."""
    (found,) = mistakes(f"{LADDER}# é\nlimits: {{EUR: 1\a}}\n")
    assert (found.line, found.message) == (6, "not YAML: control characters are not allowed")


def test_of_very_many_mistakes_some_are_named_and_all_counted() -> None:
    """A file with thousands of mistakes is told of with the first hundred and the number of the rest."""
    wrong = "".join(f"  signal_{number}: {{}}\n" for number in range(3000))
    found = mistakes(f"{LADDER}signals:\n{wrong}")
    assert (len(found), found[0].line, found[-1].line) == (101, 6, 0)
    assert found[-1].message == "has 2900 more mistakes"
    classes = "".join(f"  c{number}: {{names: [login]}}\n" for number in range(500))
    assert mistakes(f"{LADDER}actions:\n{classes}")[-1].message == "has 399 more mistakes"


def test_a_large_policy_is_read_whole() -> None:
    """A megabyte with hundreds of classes and resource rules and thousands of networks holds what it says."""
    classes = "".join(
        f"  c{n}: {{names: [{', '.join(f'a{n}_{i}' for i in range(50))}], sensitive: true}}\n" for n in range(300)
    )
    rules = "".join(
        f"  - {{name: r{n}, match: {{endpoint: [{', '.join(f'/v{i}/resource_{n}/**' for i in range(100))}]}}}}\n"
        for n in range(300)
    )
    networks = ", ".join(f"10.{n >> 8}.{n & 255}.0/24" for n in range(10_000))
    text = f"{LADDER}actions:\n{classes}resources:\n{rules}lists: {{deny: {{networks: [{networks}]}}}}\n"
    assert 0.9 * MAX_BYTES < len(text) <= MAX_BYTES
    policy = parse(text.encode(), "")
    assert len(policy.file.lists.deny.networks) == 10_000
    plan = policy.plan("a299_49", "/v99/resource_299/x", "GET", None)
    assert (plan.action, plan.sensitive) == ("c299", True)


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


@pytest.mark.parametrize("glob", ["/files/report-*", "/files/*.pdf", "/**.json", "/a***"])
def test_a_star_of_a_resource_stands_for_whole_segments(glob: str) -> None:
    """A star beside other text is refused: an id in that segment is masked before a rule is looked for."""
    (found,) = mistakes(DEFAULT.replace(b'"/export/**"', f'"{glob}"'.encode()))
    assert "stands beside other text" in found.at("riskd.yaml")
    assert found.line > 1


@settings(max_examples=40, deadline=None)
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
