"""Endpoint paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskd.enrich.path import normalise_path


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/", "/"),
        ("/pay", "/pay"),
        ("/pay/", "/pay"),
        ("/pay?next=//evil/../x;y", "/pay"),
        ("/pay#%2e%2e", "/pay"),
        ("/a%20b/caf%C3%A9", "/a b/café"),
        ("/a+b/café", "/a+b/café"),
        ("/~joe/%7Ejoe", "/~joe/~joe"),
        ("/report.v1.pdf", "/report.v1.pdf"),
        ("/.well-known/x", "/.well-known/x"),
        ("/100%", "/100%"),
        ("/a:b@c,d=e", "/a:b@c,d=e"),
        ("https://api.example.com/pay?x", "/pay"),
        ("*", "/*"),
        ("pay", "/pay"),
    ],
)
def test_honest_paths(raw: str, path: str) -> None:
    """What honest clients write is normalised and not called obfuscated."""
    assert normalise_path(raw) == (path, False)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/pay/../admin/%2e%2e/x?a=1&app=evil", "/x"),
        ("//admin", "/admin"),
        ("/./admin/.", "/admin"),
        ("/a/..", "/"),
        ("/../../etc", "/etc"),
        ("/%61dmin", "/admin"),
        ("/admin%2Fusers", "/admin/users"),
        ("/pay%5c..%5cadmin", "/admin"),
        ("/pay\\admin", "/pay/admin"),
        ("/%2561dmin", "/%61dmin"),
        ("/%%36%31dmin", "/%61dmin"),
        ("/..;/admin", "/admin"),
        ("/admin;jsessionid=1/users", "/admin/users"),
        ("/admin%00.png", "/admin\ufffd.png"),
        ("/%c0%ae%c0%ae/admin", "/\ufffd\ufffd\ufffd\ufffd/admin"),
    ],
)
def test_obfuscated_paths(raw: str, path: str) -> None:
    """What only an attacker writes is seen through once, and called obfuscated."""
    assert normalise_path(raw) == (path, True)


@given(st.text(max_size=400) | st.from_regex(r"[/.%25a-f;\\?]{0,300}", fullmatch=True))
def test_never_raises(raw: str) -> None:
    """Whatever comes, the normal form is rooted, bounded, printable and holds no dot segment."""
    path, _ = normalise_path(raw)
    assert path.startswith("/")
    assert len(path) <= len(raw) + 1
    assert not {"..", "."} & set(path.split("/"))
    assert "//" not in path
    assert all(character >= " " for character in path)


@given(st.lists(st.from_regex(r"[A-Za-z0-9_~-]{1,12}", fullmatch=True), max_size=6))
def test_plain_paths_are_their_own_normal_form(segments: list[str]) -> None:
    """A path of plain segments stays as it is."""
    path = "/" + "/".join(segments)
    assert normalise_path(path) == (path, False)
