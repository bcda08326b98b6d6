"""The laws of the house, held by looking at its source."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "riskd").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
BENCH = sorted((ROOT / "bench").rglob("*.py"))
MOST_LINES = 400
DRAWERS = {"utils", "util", "helpers", "helper", "common", "base", "manager", "managers", "misc", "shared", "core"}
FORBIDDEN = {"whitelist", "blacklist", "override", "overridden", "manager", "helper", "util", "detector", "challenge"}
PURE = ("features", "signals", "policy", "anomaly", "facts.py", "evaluation.py", "answer.py")
READERS = {ROOT / "riskd/policy/load.py", ROOT / "riskd/anomaly/load.py", ROOT / "riskd/anomaly/artifact.py"}
IMPURE_MODULES = {"time", "os", "io", "random", "secrets", "socket", "subprocess", "pathlib", "asyncio", "threading"}
PURE_NAMES = {"AF_INET", "AF_INET6", "inet_ntop", "inet_pton"}
"""Of modules that touch the world, what does not: reading and writing the text of an address."""
CLOCKS = {"now", "today", "utcnow", "time", "monotonic", "perf_counter"}


def name_of(path: Path) -> str:
    """A file as a person would call it."""
    return str(path.relative_to(ROOT))


def tree_of(path: Path) -> ast.Module:
    """The syntax of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def pure_files() -> list[Path]:
    """Files of the pure stages, without those that read policies and artifacts."""
    roots = [ROOT / "riskd" / part for part in PURE]
    found = [path for root in roots for path in (sorted(root.rglob("*.py")) if root.is_dir() else [root])]
    return [path for path in found if path not in READERS]


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Test functions of a file."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node


def identifiers(path: Path) -> Iterator[str]:
    """Every name that a file gives to something of its own."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


@pytest.mark.parametrize("path", [*SOURCES, *TESTS, *BENCH], ids=name_of)
def test_no_file_is_too_long(path: Path) -> None:
    """A file that passes 400 lines wants splitting along a family."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", [*SOURCES, *TESTS, *BENCH], ids=name_of)
def test_no_file_is_a_drawer(path: Path) -> None:
    """A file is named for what is in it, never utils, helpers, common, base or manager."""
    assert DRAWERS.isdisjoint({path.stem, *(parent.name for parent in path.relative_to(ROOT).parents)})


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_module_says_what_it_is(path: Path) -> None:
    """Every module begins with a docstring, and nothing in it is left for later."""
    assert ast.get_docstring(tree_of(path))
    text = path.read_text(encoding="utf-8")
    assert not any(mark in text for mark in ("TODO", "FIXME", "XXX", "NotImplementedError(", "pragma: no cover"))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_words(path: Path) -> None:
    """No name uses a word that the house avoids."""
    words = {word for name in identifiers(path) for word in name.lower().strip("_").split("_")}
    assert FORBIDDEN.isdisjoint(words)


@pytest.mark.parametrize("path", [path for path in TESTS if path.name.startswith("test_")], ids=name_of)
def test_every_test_says_what_it_holds(path: Path) -> None:
    """Every test has a docstring of one paragraph that ends in a full stop, and none is skipped or expected to fail."""
    assert ast.get_docstring(tree_of(path))
    for test in functions_of(path):
        doc = ast.get_docstring(test)
        assert doc, test.name
        assert doc.endswith("."), test.name
        assert "\n\n" not in doc, test.name
        marks = {ast.unparse(decorator).partition("(")[0] for decorator in test.decorator_list}
        assert marks.isdisjoint({"pytest.mark.skip", "pytest.mark.xfail"}), test.name


@pytest.mark.parametrize("path", pure_files(), ids=name_of)
def test_pure_stages_touch_nothing(path: Path) -> None:
    """Facts to decision is pure: no clock, no file, no chance, no network, and nothing global that changes."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            assert {alias.name.partition(".")[0] for alias in node.names}.isdisjoint(IMPURE_MODULES)
        elif isinstance(node, ast.ImportFrom):
            touching = (node.module or "").partition(".")[0] in IMPURE_MODULES
            assert not touching or {alias.name for alias in node.names} <= PURE_NAMES
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in CLOCKS
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "open"
        assert not isinstance(node, ast.Global | ast.Nonlocal)


@pytest.mark.parametrize("path", [path for path in SOURCES if path.name == "__init__.py"], ids=name_of)
def test_what_a_package_offers(path: Path) -> None:
    """Every name in a package's `__all__` exists, is listed once and in order, and none that it imports is left out."""
    package = ".".join(path.parent.relative_to(ROOT).parts)
    offered = getattr(importlib.import_module(package), "__all__", None)
    imported = {
        alias.asname or alias.name
        for node in tree_of(path).body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("riskd")
        for alias in node.names
    }
    if offered is None:  # it re-exports nothing: what it imports it uses
        return
    assert len(set(offered)) == len(offered)
    assert imported - {"catalogue_revision"} <= set(offered)
    assert all(hasattr(importlib.import_module(package), name) for name in offered)


def test_the_pure_files_are_found() -> None:
    """The law of purity looks at the stages it is about."""
    names = {path.stem for path in pure_files()}
    assert {"facts", "evaluation", "answer", "combine", "decide", "ladder", "place", "velocity", "model"} <= names
    assert all(path.exists() for path in READERS)
