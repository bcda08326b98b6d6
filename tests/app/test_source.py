"""Which policies are taken, where only signed ones are."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from riskd.app.source import PolicySource, signature_path
from riskd.errors import ConfigError, PolicyError, SignatureError
from tests.app.riskd import amend
from tests.app.signing import Signer


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    """Return a signer whose key is trusted."""
    made = Signer()
    made.trust(tmp_path / "keys" / "ops.pub")
    return made


@pytest.fixture
def source(tmp_path: Path, policy: Path, signer: Signer) -> PolicySource:
    """Return where a signed policy of version 5 comes from."""
    signer.sign(policy, 5)
    return PolicySource(policy, tmp_path / "keys", tmp_path / "data")


def use(source: PolicySource) -> int:
    """Take the policy into use; return its version."""
    vouched = source.load()
    source.remember(vouched)
    assert vouched.statement is not None
    return vouched.statement.version


def test_without_keys_any_policy_is_taken(tmp_path: Path, policy: Path) -> None:
    """A signature is not even looked at, and no version is kept."""
    signature_path(policy).write_text("noise")
    source = PolicySource(policy, None, tmp_path / "data")
    vouched = source.load()
    source.remember(vouched)
    assert vouched.statement is None
    assert not (tmp_path / "data").exists()


def test_a_signed_policy_is_taken_again_and_again(source: PolicySource) -> None:
    """The same version may be used at every start."""
    assert [use(source), use(source)] == [5, 5]


def test_an_older_version_stays_out(source: PolicySource, policy: Path, signer: Signer) -> None:
    """Once a version was used none below it is, not even after a restart, and the way back is a new signature."""
    old, old_signature = policy.read_bytes(), signature_path(policy).read_bytes()
    use(source)
    amend(policy, level=3)
    signer.sign(policy, 6)
    assert use(source) == 6
    policy.write_bytes(old)
    signature_path(policy).write_bytes(old_signature)
    again = PolicySource(policy, policy.parent / "keys", policy.parent / "data")
    with pytest.raises(SignatureError, match="version 5 is older than 6"):
        use(again)
    signer.sign(policy, 7)
    assert use(again) == 7


def test_a_version_stands_for_one_policy(source: PolicySource, policy: Path, signer: Signer) -> None:
    """Two policies under one number would make the order undecided."""
    use(source)
    amend(policy, level=3)
    signer.sign(policy, 5)
    with pytest.raises(SignatureError, match="another policy was used as version 5"):
        use(source)


def test_another_key_brings_no_old_policy_back(source: PolicySource, policy: Path) -> None:
    """The highest version counts over all keys: what a key that was replaced signed last is old as well."""
    use(source)
    old = signature_path(policy).read_bytes()
    successor = Signer()
    successor.trust(policy.parent / "keys" / "next.pem")
    successor.sign(policy, 6)
    use(source)
    signature_path(policy).write_bytes(old)
    with pytest.raises(SignatureError, match="older"):
        use(source)


def test_each_role_has_versions_of_its_own(source: PolicySource, policy: Path, signer: Signer) -> None:
    """A candidate of a higher version leaves the policy in use as new as it was."""
    candidate = policy.with_name("candidate.yaml")
    candidate.write_bytes(policy.read_bytes())
    signer.sign(candidate, 9, role="rollout")
    assert use(PolicySource(candidate, policy.parent / "keys", policy.parent / "data", "rollout")) == 9
    assert use(source) == 5


def test_a_key_that_is_taken_away_counts_no_more(source: PolicySource, tmp_path: Path) -> None:
    """Keys are read anew with every policy, and each of their files decides which policy is used."""
    use(source)
    Signer().trust(tmp_path / "keys" / "other.pub")
    (tmp_path / "keys" / "notes.txt").write_text("no key")
    assert {path.name for path in source.files()} >= {"riskd.yaml", "riskd.yaml.sig", "ops.pub", "other.pub", "keys"}
    (tmp_path / "keys" / "ops.pub").unlink()
    with pytest.raises(SignatureError, match="none of the trusted keys"):
        source.load()


def test_a_successor_begins_with_what_is_still_trusted(source: PolicySource, policy: Path, signer: Signer) -> None:
    """Beside a policy that may not be used it takes the one kept, by its signature; with that key gone, none."""
    text = policy.read_text()
    good = source.load()
    source.remember(good)
    signer.sign(policy, 4)  # one that was used before
    with pytest.raises(SignatureError, match="older"):
        source.load_or_kept()
    source.keep(good)
    for broken in (text, "version: 1\nlevl: 2\n"):
        policy.write_text(broken)
        signer.sign(policy, 4 if broken == text else 7)
        kept, problem = source.load_or_kept()
        assert problem is not None
        assert (kept.policy.revision, kept.statement) == (good.policy.revision, good.statement)
    Signer().trust(policy.parent / "keys" / "other.pub")
    (policy.parent / "keys" / "ops.pub").unlink()
    with pytest.raises(SignatureError, match="none of the trusted keys"):
        source.load_or_kept()


def test_of_two_workers_the_later_one_keeps(source: PolicySource, policy: Path, signer: Signer) -> None:
    """What was read earlier does not replace what was read later, however slow its reader was."""
    slow = source.load()
    amend(policy, level=3)
    signer.sign(policy, 6)
    fast = source.load()
    source.keep(fast)
    source.keep(slow)
    kept = source.kept(after=slow)
    assert kept is not None
    assert kept.policy.revision == fast.policy.revision
    assert source.kept(after=fast) is None


def test_one_file_may_hold_the_keys(tmp_path: Path, policy: Path) -> None:
    """Any name will do for it."""
    signer = Signer()
    signer.sign(policy, 1)
    assert use(PolicySource(policy, signer.trust(tmp_path / "trusted"), tmp_path / "data")) == 1


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda home: (home / "keys" / "ops.pub").unlink(), "no public key is in it"),
        (lambda home: (home / "keys").rename(home / "gone"), "cannot be read: No such file"),
        (lambda home: (home / "keys" / "ops.pub").write_text("noise"), "no Ed25519 public key"),
        (lambda home: (home / "data").mkdir() or (home / "data" / "live-seen.json").write_text("{"), "damaged"),
        (lambda home: (home / "data").write_text("no folder"), "cannot be kept"),
    ],
)
def test_what_keeps_trust_from_being_sure(
    source: PolicySource, tmp_path: Path, damage: Callable[[Path], object], why: str
) -> None:
    """Without keys, or where versions cannot be kept, no policy is taken."""
    damage(tmp_path)
    with pytest.raises(ConfigError, match=why):
        use(source)


def test_a_signed_mistake_is_a_mistake(source: PolicySource, policy: Path, signer: Signer) -> None:
    """A signature does not make a policy right; what it may say is looked at after who said it."""
    policy.write_text("version: 1\nlevl: 2\n")
    with pytest.raises(SignatureError):
        source.load()
    signer.sign(policy, 6)
    with pytest.raises(PolicyError, match="levl"):
        source.load()


def test_the_version_kept_is_its_owners_alone(source: PolicySource, tmp_path: Path) -> None:
    """Whoever could write the file could bring old policies back."""
    before = os.umask(0)
    try:
        use(source)
    finally:
        os.umask(before)
    assert (tmp_path / "data" / "live-seen.json").stat().st_mode & 0o777 == 0o600
