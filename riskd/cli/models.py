"""Models: which there are, which one is current and why, and changing that."""

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from riskd.app.model_source import SIGNATURE_FILE, ModelSource, read_signature
from riskd.app.parts import policy_path
from riskd.cli.replay import Logs, known_policies
from riskd.cli.root import AsJson, app, console, fail, print_json, progress, settings
from riskd.errors import ModelError
from riskd.learn.registry.margins import Margins
from riskd.policy.load import load
from riskd.settings import Settings

if TYPE_CHECKING:
    from riskd.learn.registry.compare import Compared

models = typer.Typer(help="Models: list, compare, promote, roll back, sign.", no_args_is_help=True)
app.add_typer(models, name="models")

Truth = Annotated[
    Path | None,
    typer.Option(
        help="What is true of each decision; default: a simulation's truth.jsonl beside the log, else outcomes."
    ),
]
Days = Annotated[int, typer.Option(min=1, max=3650, help="Judge no more than the newest days of the log.")]
Baseline = Annotated[
    list[Path] | None,
    typer.Option(help="A policy that the log was made under; the one in use is known. May be repeated."),
]
CatchMargin = Annotated[
    float, typer.Option(min=0.0001, max=1, help="By how much catch may, at worst, have fallen: a share of the attacks.")
]
AlarmMargin = Annotated[
    float,
    typer.Option(min=0.00001, max=100, help="By how much false alarms per subject-day may, at worst, have risen."),
]
ScoreMargin = Annotated[
    float, typer.Option(min=0, max=10, help="Largest stability index of the scores; asked where labels are too few.")
]
By = Annotated[str | None, typer.Option(help="Who does it; default: the account that this runs under.")]
DAYS = 28
USUAL = Margins()


@models.command("list")
def list_all(as_json: AsJson = False) -> None:
    """List all models with their standing; each is loaded as a service would load it."""
    from riskd.learn.registry.listing import list_models  # noqa: PLC0415 - offline parts load only here
    from riskd.learn.registry.table import show_list  # noqa: PLC0415

    where = settings()
    source = ModelSource.of(where)
    found = list_models(source.models, _signature, source.vouch())
    if as_json:
        print_json(found)
    elif found:
        show_list(found, console)
    else:
        typer.echo(f"no models are in {where.models_dir}; `riskd train` makes one")


@models.command()
def show(
    version: Annotated[str | None, typer.Argument(help="A version; default: the current one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show one model: where it comes from, its measures, whose signature it has, how it became current."""
    from riskd.learn.registry.listing import show_model  # noqa: PLC0415 - offline parts load only here
    from riskd.learn.registry.table import show_one  # noqa: PLC0415

    source = ModelSource.of(settings())
    shown = show_model(source.models, version or source.current(), _signature, source.vouch())
    if as_json:
        print_json(shown)
    else:
        show_one(shown, console)


@models.command()
def compare(
    a: Annotated[str, typer.Argument(help="A version, taken as the current one.")],
    b: Annotated[str, typer.Argument(help="A version, taken as the candidate.")],
    log: Logs = None,
    truth: Truth = None,
    days: Days = DAYS,
    baseline: Baseline = None,
    catch_margin: CatchMargin = USUAL.catch,
    alarm_margin: AlarmMargin = USUAL.alarms,
    score_margin: ScoreMargin = USUAL.scores,
    as_json: AsJson = False,
) -> None:
    """Judge the newest part of a log, that neither was trained on, by two models, and change nothing."""
    from riskd.learn.registry.table import show_compared  # noqa: PLC0415 - offline parts load only here

    compared = _compare(settings(), a, b, log, truth, days, baseline, Margins(catch_margin, alarm_margin, score_margin))
    if as_json:
        print_json(compared)
    else:
        show_compared(compared, console)


@models.command()
def promote(
    version: Annotated[str | None, typer.Argument(help="A version; default: the newest candidate.")] = None,
    log: Logs = None,
    truth: Truth = None,
    days: Days = DAYS,
    baseline: Baseline = None,
    catch_margin: CatchMargin = USUAL.catch,
    alarm_margin: AlarmMargin = USUAL.alarms,
    score_margin: ScoreMargin = USUAL.scores,
    force: Annotated[
        bool, typer.Option("--force", help="Promote whatever the gates say; needs --reason. Asked only with --log.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why; stands in the history.")] = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Make a candidate current if it passes the gates; else tell which one failed, and exit with code 1."""
    from riskd.learn.registry import promote as registry  # noqa: PLC0415 - offline parts load only here
    from riskd.learn.registry.table import show_compared  # noqa: PLC0415

    if force and not reason.strip():
        fail("--force needs --reason: the history will be asked why", 2)
    where = settings()
    source = ModelSource.of(where)
    version = version or registry.newest_candidate(source.models)
    vouch, compared, entry = source.vouch(), None, None
    current = registry.current_or_none(source.models, strict=not force)
    if current == version:
        fail(f"{version} is the current model already")
    if vouch is not None:
        source.load(version)  # what no service would take needs no judging
    if log or not force:
        margins = Margins(catch_margin, alarm_margin, score_margin)
        compared = _compare(where, current, version, log, truth, days, baseline, margins)
    if force or (compared is not None and compared.verdict.passed):
        entry = registry.promote(
            source.models,
            version,
            compared,
            now=datetime.now(UTC),
            by=_by(by),
            reason=reason,
            force=force,
            vouch=vouch,
        )
    if as_json:
        print_json({"promoted": entry is not None, "entry": entry, "compared": compared})
    elif compared is not None:
        show_compared(compared, console)
    if entry is None:
        failed = [] if compared is None else [gate for gate in compared.verdict.gates if not gate.passed]
        why = "; ".join(f"{gate.name}: {gate.said}" for gate in failed)
        fail(f"{version} is not promoted, {current or 'no model'} stays current: {why}")
    if not as_json:
        typer.echo(f"{version} is current; before it {entry.former or 'none'} was. Back: riskd models rollback")


@models.command()
def rollback(
    reason: Annotated[str, typer.Option(help="Why; stands in the history.")] = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Make the model before the current one current again; once more goes one promotion further back."""
    from riskd.learn.registry import promote as registry  # noqa: PLC0415 - offline parts load only here

    source = ModelSource.of(settings())
    entry = registry.rollback(source.models, now=datetime.now(UTC), by=_by(by), reason=reason, vouch=source.vouch())
    if as_json:
        print_json(entry)
    else:
        typer.echo(f"{entry.version} is current again, {entry.former} is not any more")


@models.command("sign")
def sign_model(
    version: Annotated[str, typer.Argument(help="A version.")],
    key: Annotated[Path, typer.Option(help="Private Ed25519 key in PEM, as `riskd policy keygen` or openssl make it.")],
) -> None:
    """Check a model as a service would, then write its signature beside the manifest."""
    from riskd.app.model_signature import sign  # noqa: PLC0415 - 7 MB that only signing needs
    from riskd.cli.signing import read_key, write_signature  # noqa: PLC0415
    from riskd.signed import key_id  # noqa: PLC0415

    source = ModelSource(settings().models_dir, None)
    seen: list[tuple[bytes, str]] = []
    source.load(version, lambda _folder, manifest, digest: seen.append((manifest, digest)))
    signer = read_key(key)
    ((manifest, digest),) = seen
    target = source.models / version / SIGNATURE_FILE
    write_signature(target, sign(signer, version, manifest, digest, signed_at=datetime.now(UTC)))
    typer.echo(f"{target}: signed by {key_id(signer.public_key())}")


def _compare(
    where: Settings,
    current: str | None,
    candidate: str,
    log: list[Path] | None,
    truth: Path | None,
    days: int,
    baseline: list[Path] | None,
    margins: Margins,
) -> "Compared":
    from riskd.learn.registry.compare import compare as run  # noqa: PLC0415 - offline parts load only here

    in_use = policy_path(where)
    with progress("decisions judged") as tell:
        return run(
            where.models_dir,
            current,
            candidate,
            log=log or [where.log_dir],
            truth=truth,
            policy=load(in_use),
            known=[load(path) for path in known_policies(in_use, baseline or [])],
            days=days,
            margins=margins,
            now=datetime.now(UTC),
            tell=tell,
        )


def _signature(folder: Path) -> str:
    """Return in a few words whose signature lies beside a manifest; whether it counts is said by loading the model."""
    if not (folder / SIGNATURE_FILE).exists():
        return "unsigned"
    from riskd.app.model_signature import signer  # noqa: PLC0415 - 7 MB that only signatures need

    try:
        return f"says {signer(read_signature(folder), str(folder))}"
    except ModelError:
        return "damaged"


def _by(named: str | None) -> str:
    if named is not None:
        return named[:256]
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        return "unknown"


__all__ = ["models"]
