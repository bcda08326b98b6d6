"""Thresholds are changed where they stand: no comment, order or spelling besides is touched."""

import subprocess
from contextlib import chdir
from pathlib import Path

import pytest

from riskd.errors import ConfigError
from riskd.learn.tune.change import changed, diff, read, write
from riskd.policy.load import SHIPPED, parse
from riskd.policy.text import Path as Keys

DEFAULT = (SHIPPED / "default.yaml").read_text(encoding="utf-8")
ASSURANCE = DEFAULT[DEFAULT.index("assurance:") : DEFAULT.index("# What the caller must do")]


def lines_changed(before: str, after: str) -> list[str]:
    """Added and taken lines."""
    return [line for line in diff(before, after, "p").splitlines()[2:] if line[:1] in "+-"]


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_policy_can_be_tuned_everywhere(path: Path) -> None:
    """At the top, in every class and in every resource with thresholds, and each comment is still there."""
    text = path.read_text(encoding="utf-8")
    file = parse(text.encode(), path.name).file
    places: list[Keys] = [(), *(("actions", kind) for kind in file.actions)]
    places += [("resources", number) for number, rule in enumerate(file.resources) if rule.thresholds is not None]
    after = changed(text, {at: {"step_up": 12.5} for at in places}, path.name)
    new = parse(after.encode(), path.name).file
    assert new.thresholds.step_up == 12.5
    assert all(rules.thresholds is not None and rules.thresholds.step_up == 12.5 for rules in new.actions.values())
    assert {rule.thresholds.step_up for rule in new.resources if rule.thresholds is not None} <= {12.5}
    assert [line for line in text.splitlines() if "#" in line] == [line for line in after.splitlines() if "#" in line]


def test_only_the_number_changes() -> None:
    """A threshold that stands there is one line of the diff."""
    after = changed(DEFAULT, {(): {"step_up": 47.9}}, "p")
    assert lines_changed(DEFAULT, after) == ["-  step_up: 50", "+  step_up: 47.9"]


def test_a_class_without_thresholds_gets_a_line() -> None:
    """The line stands beneath the class's first key, indented as it is."""
    after = changed(DEFAULT, {("actions", "login"): {"step_up": 56, "deny": 90}}, "p")
    assert lines_changed(DEFAULT, after) == ["+    thresholds: {step_up: 56, deny: 90}"]


@pytest.mark.parametrize(
    ("head", "place", "shown"),
    [
        ("version: 1\n", (), "version: 1\nthresholds: {step_up: 40}\n"),
        ("version: 1\nthresholds: {deny: 80}  # é\n", (), "thresholds: {deny: 80, step_up: 40}  # é\n"),
        ("version: 1\nthresholds:\n  # why\n  deny: 80 # so\n", (), "  deny: 80 # so\n  step_up: 40\n"),
        ("version: 1\r\nthresholds:\r\n  deny: 80\r\n", (), "  deny: 80\r\n  step_up: 40\r\n"),
        (
            "version: 1\nactions:\n  pay: {names: [pay], level: 2}\n",
            ("actions", "pay"),
            "  pay: {names: [pay], thresholds: {step_up: 40}, level: 2}\n",
        ),
        (
            "version: 1\nactions:\n  pay:\n    names:\n      - pay\n    level: 2\n",
            ("actions", "pay"),
            "  pay:\n    thresholds: {step_up: 40}\n    names:\n      - pay\n",
        ),
        (
            "version: 1\nresources:\n  - name: a\n    match: {type: [x]}\n    thresholds:\n      deny: 70\n",
            ("resources", 0),
            "      deny: 70\n      step_up: 40\n",
        ),
    ],
    ids=["top", "flow section", "block section", "crlf", "flow class", "block list", "resource"],
)
def test_every_way_to_write_it(head: str, place: Keys, shown: str) -> None:
    """Block or flow, with or without the key, with Windows line endings, with letters of several bytes."""
    assert shown in changed(head + ASSURANCE, {place: {"step_up": 40}}, "p")


def test_a_file_without_a_last_newline() -> None:
    """A line can be added below the last one."""
    text = ASSURANCE + "version: 1\nactions:\n  pay:\n    names: [pay]"
    after = changed(text, {("actions", "pay"): {"step_up": 40}}, "p")
    assert after.endswith("    names: [pay]\n    thresholds: {step_up: 40}\n")
    assert "\\ No newline at end of file" in diff(text, after, "p")


def test_a_contradiction_is_said() -> None:
    """A step_up above a deny elsewhere is refused in words."""
    text = "version: 1\nactions:\n  pay: {names: [pay], thresholds: {deny: 60}}\n" + ASSURANCE
    with pytest.raises(ConfigError, match="contradict"):
        changed(text, {(): {"step_up": 70}}, "p")


def test_git_takes_the_diff(tmp_path: Path) -> None:
    """`git apply` makes of the old file the new one."""
    (tmp_path / "policy.yaml").write_text(DEFAULT, encoding="utf-8")
    after = changed(DEFAULT, {(): {"step_up": 47.9}, ("actions", "read"): {"step_up": 30.1}}, "policy.yaml")
    change = diff(DEFAULT, after, "policy.yaml")
    subprocess.run(["git", "apply", "-"], input=change, text=True, cwd=tmp_path, check=True)
    assert (tmp_path / "policy.yaml").read_text(encoding="utf-8") == after
    assert not diff(after, after, "policy.yaml")


@pytest.mark.parametrize(
    "name", ["p.yaml", "./p.yaml", "sub/../p.yaml", "our policy.yaml", "../{home}/p.yaml", "{at}/p.yaml"]
)
def test_patch_and_git_take_it_whatever_the_file_is_called(name: str, tmp_path: Path) -> None:
    """Dots, spaces and ways up in a name lead to the file, from the folder at hand or, out of it, from the root."""
    (tmp_path / "sub").mkdir()
    name = name.format(home=tmp_path.name, at=tmp_path)
    with chdir(tmp_path):
        after, file = changed(DEFAULT, {(): {"step_up": 40}}, "p"), Path(name)
        told, root = diff(DEFAULT, after, name), "/" if name.startswith(("/", "..")) else "."
        for command in (["patch", "-p1", "--posix", "-d", root], ["git", "apply"]):
            file.write_text(DEFAULT, encoding="utf-8")
            subprocess.run(command, input=told, text=True, check=True, cwd=root, capture_output=True)
            assert file.read_text(encoding="utf-8") == after


@pytest.mark.parametrize("end", ["\u2028", "\x85", "\r"])
def test_other_ends_of_lines_are_no_lines_to_patch(end: str, tmp_path: Path) -> None:
    """What YAML or Unicode takes for the end of a line stays within one in the diff."""
    text = DEFAULT.replace("  step_up: 50", f"  # one{end}  # two\n  step_up: 50")
    after = changed(text, {(): {"step_up": 40}}, "p")
    assert lines_changed(text, after) == ["-  step_up: 50", "+  step_up: 40"]
    (tmp_path / "p").write_bytes(text.encode())
    told = diff(text, after, "p").encode()
    subprocess.run(["patch", "-p1", "--binary"], input=told, check=True, cwd=tmp_path, capture_output=True)
    assert (tmp_path / "p").read_bytes() == after.encode()


def test_a_byte_order_mark_stays() -> None:
    """It moves no other character, and stands first in the new file."""
    assert changed(f"\ufeff{DEFAULT}", {(): {"step_up": 40}}, "p") == "\ufeff" + changed(
        DEFAULT, {(): {"step_up": 40}}, "p"
    )


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """Mode and link stay, no draft is left behind, and line endings are written as given."""
    path, link = tmp_path / "policy.yaml", tmp_path / "link.yaml"
    path.write_text("old\n")
    path.chmod(0o640)
    link.symlink_to(path)
    write(link, "new\r\n")
    assert read(path) == "new\r\n"
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(tmp_path.iterdir()) == [link, path]


def test_a_file_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    """Both are said with the path."""
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be written"):
        write(tmp_path / "none" / "policy.yaml", "x")
