"""Files of cases that mean harm, or are just anything."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riskd.app.cases.load import MAX_ATTEMPTS, load
from riskd.errors import PolicyError
from riskd.policy import Policy
from riskd.policy.load import MAX_BYTES, MAX_MISTAKES
from tests.app.cases.test_load import EXPECT, HEAD, LIKE

HOSTILE = {
    "too large": (b"cases: " + b" " * MAX_BYTES, f"is larger than {MAX_BYTES} bytes"),
    "not UTF-8": (b"cases: \xff\n", "is not UTF-8 (byte 7)"),
    "nothing but zeros": (b"\0" * 100, "not YAML"),
    "deep": (b"cases: " + b"[" * 5000 + b"]" * 5000, "nested over 32 deep"),
    "an alias bomb": (b"a: &a [x, x]\nb: &b [*a, *a]\ncases: [*b, *b]\n", "aliases (*name) are not allowed"),
    "a tag": (
        b"cases: !!python/object/apply:os.system [ls]\n",
        "tags (!!python/object/apply:os.system) are not allowed",
    ),
    "a huge number": (b"cases: [{name: a, history: [{tried: 1" + b"0" * 5000 + b"}]}]\n", "a number of 5001 digits"),
    "a list of wrong things": (b"cases: [" + b"1," * 50_000 + b"1]\n", "has 49901 more mistakes"),
    "no number": (
        f"{HEAD}    request: {{like: home, action: {{amount: .nan, currency: EUR}}}}\n{EXPECT}".encode(),
        "amount: should be a finite number",
    ),
    "a long chain": (
        b"attempts:\n" + b"".join(b"  a%d: {like: a%d}\n" % (n, n + 1) for n in range(900)) + b"  a900: {}\ncases:\n"
        b"  - {name: one, request: {like: a0}, expect: {decision: allow}}\n",
        "one like another over 16 deep",
    ),
    "endless histories": (
        HEAD.encode()
        + LIKE.encode()
        + EXPECT.encode()
        + b"    history: ["
        + b",".join([b"{tried: 1000, every: 1s, like: home}"] * 32)
        + b"]\n"
        + b"".join(
            b"  - {name: c%d, request: {like: home}, expect: {decision: allow}, history: [%s]}\n"
            % (n, b",".join([b"{tried: 1000, every: 1s, like: home}"] * 32))
            for n in range(4)
        ),
        f"their histories have 160,000 attempts; at most {MAX_ATTEMPTS:,}",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files(kind: str, tmp_path: Path, default_policy: Policy) -> None:
    """A file that is too large, too deep, a bomb or not text at all is told in words, and never judged."""
    content, told = HOSTILE[kind]
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    with pytest.raises(PolicyError) as raised:
        load(path, default_policy)
    assert any(told in str(mistake) for mistake in raised.value.mistakes), raised.value
    assert len(raised.value.mistakes) <= MAX_MISTAKES + 1


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "request",
                    "like",
                    "expect",
                    "history",
                    "subject",
                    "context",
                    "ip",
                    "reasons",
                    "ago",
                    "tried",
                    "at",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(attempts=ANYTHING, cases=ANYTHING, case=ANYTHING)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_content(attempts: object, cases: object, case: object, cases_path: Path, default_policy: Policy) -> None:
    """Whatever stands where, the file is read or its mistakes are told; nothing else is raised."""
    good = {"name": "one", "request": {"like": "home"}, "expect": {"decision": "allow"}}
    mixed = {**good, **case} if isinstance(case, dict) else good
    for tree in ({"attempts": attempts, "cases": cases}, {"attempts": {"home": attempts}, "cases": [mixed]}):
        cases_path.write_text(json.dumps(tree), encoding="utf-8")
        with suppress(PolicyError):
            load(cases_path, default_policy)


@pytest.fixture
def cases_path(tmp_path: Path) -> Path:
    """Where a file of cases may be written."""
    return tmp_path / "any.yaml"
