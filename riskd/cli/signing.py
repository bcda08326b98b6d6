"""Signed policies: make a key, sign a policy, and see whether it would be used."""

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from riskd.app.parts import list_files, open_leaked, open_lists, open_named, policy_path
from riskd.app.source import PolicySource, signature_path
from riskd.cli.root import AsJson, app, fail, print_json, settings
from riskd.enrich.identity import KEY_BYTES, Pseudonyms
from riskd.errors import ConfigError
from riskd.policy import Policy
from riskd.policy.load import load
from riskd.policy.signature import MAX_VERSION, Role, sign
from riskd.signed import MAX_BYTES, key_id, private_key

policy = typer.Typer(help="Signed policies: with RISKD_POLICY_KEYS set, only those are used.", no_args_is_help=True)
app.add_typer(policy, name="policy")

File = Annotated[Path | None, typer.Argument(help="Policy file; default: the one that `riskd serve` would use.")]
As = Annotated[
    Role,
    typer.Option(
        "--role", help="What it is used as: live, rollout (a part is judged by it), shadow (judges beside, not obeyed)."
    ),
]


@policy.command()
def keygen(
    name: Annotated[Path, typer.Argument(help="Where to write it, without ending.")] = Path("riskd-policy"),
) -> None:
    """Make an Ed25519 key: NAME.key to sign with, kept off the servers, and NAME.pub for RISKD_POLICY_KEYS."""
    key = Ed25519PrivateKey.generate()
    secret, public = name.with_name(f"{name.name}.key"), name.with_name(f"{name.name}.pub")
    _create(secret, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    _create(public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 0o644)
    typer.echo(f"key {key_id(key.public_key())}: sign with {secret}, give {public} to RISKD_POLICY_KEYS")


@policy.command("sign")
def sign_policy(
    key: Annotated[Path, typer.Option(help="Private Ed25519 key in PEM, as `keygen` or openssl make it.")],
    file: File = None,
    role: As = "live",
    version: Annotated[
        int | None, typer.Option(min=1, max=MAX_VERSION, help="Higher than any before; default: the time in ms.")
    ] = None,
    free: Annotated[
        list[str] | None, typer.Option(help="A list that the policy names and that may change without a new signature.")
    ] = None,
) -> None:
    """Check a policy and its lists, then write its signature beside it; lists are pinned as they are now.

    What is signed for one role is used in no other, except that a rollout may also be tried in shadow.
    """
    path = file or policy_path(settings())
    read: list[bytes] = []
    loaded = load(path, read.append)
    named = list_files(loaded)
    if unknown := sorted(set(free or ()) - set(named)):
        fail(f"{path} names no list {', '.join(unknown)}; it names {', '.join(named) or 'none'}")
    now = datetime.now(UTC)
    pinned = {name: _digest(path.parent / name) for name in named if name not in (free or ())}
    _try_lists(loaded, path, {path.parent / name: told for name, told in pinned.items()})
    signer = read_key(key)
    signature = sign(
        signer,
        read[0],
        role=role,
        version=version or int(now.timestamp() * 1000),
        signed_at=now,
        files=pinned,
    )
    target = signature_path(path)
    write_signature(target, signature)
    typer.echo(f"{target}: revision {loaded.revision}, signed as {role} by {key_id(signer.public_key())}")
    for name in named:
        typer.echo(f"  {name}: {'pinned' if name in pinned else 'may change'}")


@policy.command("verify")
def verify_policy(
    file: File = None,
    role: As = "live",
    keys: Annotated[
        Path | None, typer.Option(help="File or folder of public keys; default: RISKD_POLICY_KEYS.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell whether a policy and its lists are what a trusted key signed; exit code 78 when not."""
    where = settings()
    path, trusted = file or policy_path(where), keys or where.policy_keys
    if trusted is None:
        fail("name the trusted keys: --keys, or RISKD_POLICY_KEYS")
    vouched = PolicySource(path, trusted, where.data_dir, role).load()
    statement = vouched.statement
    assert statement is not None  # noqa: S101 - the source has keys
    _try_lists(vouched.policy, path, vouched.digests(path.parent))
    if as_json:
        print_json({"file": str(path), "revision": vouched.policy.revision, "statement": statement})
        return
    typer.echo(
        f"{path}: revision {vouched.policy.revision}, version {statement.version}, "
        f"signed as {statement.role} by {statement.key} at {statement.signed_at:%Y-%m-%d %H:%M:%S} UTC"
    )
    for name in list_files(vouched.policy):
        typer.echo(f"  {name}: {'pinned' if name in statement.files else 'may change'}")


def _try_lists(loaded: Policy, path: Path, digests: dict[Path, str]) -> None:
    """Read all lists of a policy, those in `digests` with that content only; raises DataError."""
    open_lists(loaded, path, digests)
    open_named(loaded, path, Pseudonyms(bytes(KEY_BYTES)), digests=digests)  # any key will do to read the entries
    open_leaked(loaded, path, digests)


def read_key(path: Path) -> Ed25519PrivateKey:
    """Return the private key of a PEM file; raises ConfigError."""
    try:
        with path.open("rb") as file:
            return private_key(file.read(MAX_BYTES), str(path))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def write_signature(path: Path, content: bytes) -> None:
    """Put a signature file whole in place of a former one; raises ConfigError."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def _create(path: Path, content: bytes, mode: int) -> None:
    """Write a file that must not be there yet."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
            file.write(content)
    except FileExistsError:
        fail(f"{path} exists already; name another")
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}")
