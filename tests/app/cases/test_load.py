"""Files of cases: every mistake with its place, what is like what, and where they are looked for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskd.app.cases.load import beside, codes, files, load
from riskd.app.cases.schema import USUAL_TIME
from riskd.errors import ConfigError, PolicyError
from riskd.policy import Policy
from riskd.policy.load import SHIPPED, parse

HEAD = """\
attempts:
  home: {subject: {id: alice}, action: {name: login}, context: {ip: 81.2.69.142}}
cases:
  - name: one
"""
EXPECT = "    expect: {decision: allow}\n"
LIKE = "    request: {like: home}\n"

MISTAKES = {
    "a key": (
        f"{HEAD}    requst: {{}}\n{LIKE}{EXPECT}",
        "5:5: cases.0.requst: no such key: 'requst'; did you mean request?",
    ),
    "an outcome": (
        f"{HEAD}{LIKE}    expect: {{decision: alow}}\n",
        "6:24: cases.0.expect.decision: should be 'allow', 'step_up' or 'deny' (got 'alow'); did you mean allow?",
    ),
    "a reason": (
        f"{HEAD}{LIKE}    expect: {{reasons: [new_devise]}}\n",
        "6:24: cases.0.expect.reasons.0: no such signal: 'new_devise'; did you mean new_device or fresh_device?",
    ),
    "nothing expected": (
        f"{HEAD}{LIKE}    expect: {{}}\n",
        "6:13: cases.0.expect: expects nothing; say the decision at least",
    ),
    "bounds": (
        f"{HEAD}{LIKE}    expect: {{score: {{min: 9, max: 3}}}}\n",
        "6:21: cases.0.expect.score: min (9) must not exceed max (3)",
    ),
    "an attempt": (
        f"{HEAD}    request: {{like: hom}}\n{EXPECT}",
        "5:21: cases.0.request.like: no attempt is called 'hom'; did you mean home?",
    ),
    "a step's attempt": (
        f"{HEAD}    history: [{{tried: 1, ago: 1h, like: requests}}]\n{LIKE}{EXPECT}",
        "5:41: cases.0.history.0.like: no attempt is called 'requests'; did you mean request?",
    ),
    "a field of a request": (
        f"{HEAD}    request: {{like: home, context: {{user_agnt: x}}}}\n{EXPECT}",
        "5:37: cases.0.request.context.user_agnt: no such key: 'user_agnt'; did you mean user_agent?",
    ),
    "a value of a request": (
        f"{HEAD}    request:\n      like: home\n      context: {{place: {{country: gb}}}}\n{EXPECT}",
        "7:34: cases.0.request.context.place.country: should match pattern '^[A-Z]{2}$' (got 'gb')",
    ),
    "a missing part": (
        f"{HEAD}    request: {{subject: {{id: a}}, context: {{ip: 81.2.69.142}}}}\n{EXPECT}",
        "5:5: cases.0.request.action: is missing",
    ),
    "an address": (
        f"{HEAD}    request: {{like: home, context: {{ip: 300.1.1.1}}}}\n{EXPECT}",
        (
            "5:41: cases.0.request.context.ip: not an IPv4 or IPv6 address; send the bare address, without port, "
            "brackets, zone or prefix"
        ),
    ),
    "a relative time": (
        f"{HEAD}    request: {{like: home, subject: {{auth_time: a while ago}}}}\n{EXPECT}",
        (
            "5:48: cases.0.request.subject.auth_time: not a time: write 20s ago, 5m ago, 12h ago or 7d ago "
            "(got 'a while ago')"
        ),
    ),
    "no outcome of a step": (
        f"{HEAD}    history: [{{ago: 1h, like: home}}]\n{LIKE}{EXPECT}",
        (
            "5:15: cases.0.history.0: say what became of them by one of confirmed, failed, tried, reported, fraud, "
            "legitimate, and how many they were"
        ),
    ),
    "two outcomes of a step": (
        f"{HEAD}    history: [{{failed: 1, tried: 1, ago: 1h, like: home}}]\n{LIKE}{EXPECT}",
        (
            "5:15: cases.0.history.0: say what became of them by one of confirmed, failed, tried, reported, fraud, "
            "legitimate, and how many they were"
        ),
    ),
    "no time of a step": (
        f"{HEAD}    history: [{{failed: 1, like: home}}]\n{LIKE}{EXPECT}",
        "5:15: cases.0.history.0: say when: ago, every or within",
    ),
    "two times of a step": (
        f"{HEAD}    history: [{{failed: 1, like: home, every: 1h, within: 1h}}]\n{LIKE}{EXPECT}",
        "5:15: cases.0.history.0: every and within both say how they are spread: choose one",
    ),
    "no attempt of a step": (
        f"{HEAD}    history: [{{failed: 1, ago: 1h}}]\n{LIKE}{EXPECT}",
        "5:15: cases.0.history.0: say what they were like: an attempt's name, or request, the case's own",
    ),
    "a duration": (
        f"{HEAD}    history: [{{failed: 1, like: home, ago: soon}}]\n{LIKE}{EXPECT}",
        "5:44: cases.0.history.0.ago: not a duration: write 30s, 5m, 12h or 7d (got 'soon')",
    ),
    "too far back": (
        f"{HEAD}    history: [{{failed: 1000, like: home, every: 30d}}]\n{LIKE}{EXPECT}",
        "5:15: cases.0.history.0: reaches 30,000 days back; at most 3,650",
    ),
    "too many": (
        f"{HEAD}    history: [{{failed: 1001, like: home, ago: 1d}}]\n{LIKE}{EXPECT}",
        "5:24: cases.0.history.0.failed: should be less than or equal to 1000 (got '1001')",
    ),
    "what differs": (
        f"{HEAD}    history: [{{failed: 1, like: home, ago: 1d, different: [ips]}}]\n{LIKE}{EXPECT}",
        (
            "5:60: cases.0.history.0.different.0: must be one of subject, ip, device, session, recipient, "
            "attributes.<name> (got 'ips')"
        ),
    ),
    "a flag that differs": (
        (
            f"{HEAD}    history: [{{failed: 1, like: home, ago: 1d, different: [attributes.new], "
            f"context: {{attributes: {{new: true}}}}}}]\n{LIKE}{EXPECT}"
        ),
        "5:60: cases.0.history.0.different.0: a flag has no other values to differ in; use a text or a number",
    ),
    "a name that grows too long": (
        (
            f"{HEAD}    history: [{{failed: 1, like: home, ago: 1d, different: [device], "
            f"context: {{device_id: {'x' * 256}}}}}]\n{LIKE}{EXPECT}"
        ),
        f"5:59: cases.0.history.0.different: should have at most 256 characters (got '{'x' * 60}')",
    ),
    "a name twice": (
        f"{HEAD}{LIKE}{EXPECT}  - name: one\n{LIKE}{EXPECT}",
        "7:11: cases.1.name: two cases are called 'one'",
    ),
    "what is down": (
        f"{HEAD}    down: [stor]\n{LIKE}{EXPECT}",
        "5:12: cases.0.down.0: should be 'store' or 'model' (got 'stor'); did you mean store?",
    ),
    "a time without a zone": (
        f"{HEAD}    at: 2026-11-02T12:00:00\n{LIKE}{EXPECT}",
        "5:9: cases.0.at: should have timezone info (got '2026-11-02T12:00:00')",
    ),
    "a time before all": (
        f"{HEAD}    at: 1970-01-01T00:00:00Z\n{LIKE}{EXPECT}",
        "5:9: cases.0.at: should be greater than or equal to 2000-01-01T00:00:00Z (got '1970-01-01T00:00:00Z')",
    ),
    "no cases": ("attempts: {}\n", "1:1: cases: is missing"),
    "an empty list": ("cases: []\n", "1:8: cases: Tuple should have at least 1 item after validation, not 0"),
    "no mapping": ("- cases\n", " must be a mapping with `cases`"),
    "no file": ("", " must be a mapping with `cases`"),
    "a duplicate key": (f"{HEAD}{LIKE}{LIKE}{EXPECT}", "6:5: cases.0.request: the key 'request' stands twice"),
    "an alias": (
        f"{HEAD}    request: &a {{like: home}}\n    expect: *a\n",
        "6:13: aliases (*name) are not allowed: write it out",
    ),
    "a circle": (
        "attempts: {a: {like: b}, b: {like: a}}\ncases: [{name: c, request: {like: a}, expect: {decision: deny}}]\n",
        "1:22: attempts.a.like: 'b' is like itself",
    ),
    "a name that is taken": (
        "attempts: {request: {action: {name: x}}}\n" + HEAD.split("\n", 2)[2] + "    request: {}\n" + EXPECT,
        "1:12: attempts.request: is what a history calls the case's own request; choose another name",
    ),
    "an attempt that no case is like": (
        f"{HEAD}{LIKE}{EXPECT}".replace("cases:", "  other: {context: {ip: 81.2.69.142, divice_id: x}}\ncases:"),
        "3:38: attempts.other.context.divice_id: no such key: 'divice_id'; did you mean device_id or device_digest?",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake: str, tmp_path: Path, default_policy: Policy) -> None:
    """Each mistake is told with file, line, column, the wrong word and the nearest right ones."""
    text, told = MISTAKES[mistake]
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PolicyError) as raised:
        load(path, default_policy)
    assert f"{path}:{told}" in [m.at(str(path)) for m in raised.value.mistakes]


def test_all_mistakes_at_once(tmp_path: Path, default_policy: Policy) -> None:
    """Mistakes of all cases are told together, one in an attempt that many are like only once."""
    path = tmp_path / "c.yaml"
    bad = "attempts: {home: {subject: {id: a}, action: {name: login}, context: {ip: x.y}}}\ncases:\n"
    for number in range(5):
        bad += f"  - {{name: c{number}, request: {{like: home}}, expect: {{reasons: [new_devise]}}}}\n"
    path.write_text(bad, encoding="utf-8")
    with pytest.raises(PolicyError) as raised:
        load(path, default_policy)
    assert [mistake.line for mistake in raised.value.mistakes] == [1, 3, 4, 5, 6, 7]


def test_what_is_like_what(tmp_path: Path, default_policy: Policy) -> None:
    """A request is its own words over those of what it is like, and null takes a field or a group away."""
    path = tmp_path / "c.yaml"
    path.write_text(
        """
attempts:
  home:
    subject: {id: alice, session_id: s}
    action: {name: login}
    context: {ip: 81.2.69.142, device_id: laptop, place: {country: GB, city: London}}
  abroad: {like: home, context: {place: {country: BR}, device_id: null}}
cases:
  - name: one
    request: {like: abroad, subject: {id: bob}, context: {attributes: {plan: free}}}
    history:
      - {tried: 1, ago: 1h, like: request, context: {place: null}}
      - {tried: 1, ago: 2h, like: home, action: {name: read}}
    expect: {decision: allow}
""",
        encoding="utf-8",
    )
    (case,) = load(path, default_policy)
    assert (case.name, case.line, case.at) == ("one", 9, USUAL_TIME)
    request = case.request.model_dump(exclude_unset=True)
    assert request["subject"] == {"id": "bob", "session_id": "s"}
    context: dict[str, Any] = {"ip": "81.2.69.142", "attributes": {"plan": "free"}}
    assert request["context"] == {**context, "place": {"country": "BR", "city": "London"}}
    assert case.history[0].tree["context"] == context
    assert case.history[1].tree["action"] == {"name": "read"}


def test_codes_of_a_policy() -> None:
    """A case may speak of signals that the policy turned off or declares itself, for whatever action."""
    policy = parse(
        (SHIPPED / "default.yaml").read_bytes()
        + b"""
signals: {new_device: {enabled: false}}
custom_signals:
  - {code: odd_export, when: action.name == "export", weight: 0.2, text: An odd export., actions: [export]}
""",
        "riskd.yaml",
    )
    assert {"new_device", "odd_export", "tor_exit"} <= codes(policy)


def test_where_cases_are(tmp_path: Path) -> None:
    """Cases of a policy stand beside it under its name, in `cases/`, or in a folder there; named folders are read."""
    policy = tmp_path / "riskd.yaml"
    assert beside(policy) == []
    (tmp_path / "cases" / "riskd" / "more").mkdir(parents=True)
    wanted = [tmp_path / "riskd.cases.yaml", tmp_path / "cases" / "riskd.yaml", tmp_path / "cases" / "riskd"]
    inside = [wanted[2] / "a.yaml", wanted[2] / "more" / "b.yml"]
    for path in (*wanted[:2], *inside, wanted[2] / "notes.txt", tmp_path / "cases" / "other.yaml"):
        path.write_text("cases: []\n", encoding="utf-8")
    assert beside(policy) == wanted
    assert files(wanted) == [*wanted[:2], *inside]
    assert files([inside[0], wanted[2]]) == inside
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"empty: no file of cases in it \(\.yaml, \.yml\)"):
        files([tmp_path / "empty"])


def test_a_missing_file(tmp_path: Path, default_policy: Policy, cases_file: Callable[[str], Path]) -> None:
    """A file that is not there, or is a folder, is told like any other mistake."""
    with pytest.raises(PolicyError, match=r"nowhere\.yaml: cannot be read: No such file or directory"):
        load(tmp_path / "nowhere.yaml", default_policy)
    with pytest.raises(PolicyError, match="cannot be read: Is a directory"):
        load(tmp_path, default_policy)
    path = cases_file("  - {name: one, request: {like: home}, expect: {decision: allow}}\n")
    assert len(load(path, default_policy)) == 1
