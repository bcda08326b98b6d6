"""Learn from logs: simulate a population, train the anomaly model, see what decisions were worth."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from riskd.anomaly.load import load_model
from riskd.anomaly.model import Model
from riskd.app.parts import policy_path
from riskd.cli.engine import EngineName, EngineOption, Jobs, Logs, logs_of, opened
from riskd.cli.root import AsJson, app, console, fail, print_json, progress, settings
from riskd.errors import ConfigError, ModelError
from riskd.features import MODEL_FEATURES
from riskd.policy import Policy
from riskd.policy.load import load
from riskd.settings import Settings


def current_model(where: Settings, policy: Policy) -> Model | None:
    """Load the current model; without one say so, or raise ModelError where the policy wants one."""
    try:
        return load_model(where.models_dir, MODEL_FEATURES)
    except ModelError as error:
        if policy.file.anomaly.missing == "refuse":
            raise
        sys.stderr.write(f"riskd: no model ({error}); the declared signals judge alone\n")
        return None


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="Folder to write log/ and truth.jsonl into; must not hold any yet.")],
    subjects: Annotated[int, typer.Option(min=100, help="People of the simulated world.")] = 20_000,
    days: Annotated[int, typer.Option(min=2, help="Days that are played.")] = 120,
    seed: Annotated[int, typer.Option(help="The same seed gives the same attempts.")] = 1,
    attackers: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Who attacks: naive, vpn, targeted, very-targeted, clone, stuffing, spray, stolen-password, "
            "session-theft, payment-fraud, takeover, payout, with commas between them. Default: the attackers that "
            "the shipped model's card tells of.",
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.1, max=50, help="Attacks of each of --attackers per thousand honest logins; default: 6."),
    ] = None,
    off_rhythm: Annotated[
        bool,
        typer.Option(
            "--off-rhythm",
            help="Let naive, vpn, targeted and very-targeted come when anybody might, not when the victim would have.",
        ),
    ] = False,
    without_model: Annotated[
        bool, typer.Option("--without-model", help="Let the declared signals decide alone.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Play a population with habits, and attackers among it, against the real engine; write the decision log."""
    from riskd.learn.simulate.chosen import RATE, names_in, rates_of  # noqa: PLC0415 - offline parts load only here
    from riskd.learn.simulate.run import simulate as run  # noqa: PLC0415
    from riskd.learn.simulate.stream import Size  # noqa: PLC0415

    if attackers is None and (rate is not None or off_rhythm):
        fail("--rate and --off-rhythm are about --attackers: name them, e.g. --attackers naive,vpn", 2)
    try:
        rates = None if attackers is None else rates_of(names_in(attackers), rate=rate or RATE, off_rhythm=off_rhythm)
    except ConfigError as error:
        fail(f"--attackers: {error}", 2)
    where = settings()
    policy = load(policy_path(where))
    model = None if without_model else current_model(where, policy)
    try:
        done = run(out, Size(subjects=subjects, days=days, seed=seed), policy, model, rates=rates)
    except (FileExistsError, ValueError) as error:
        fail(str(error))
    if as_json:
        print_json({"log": str(done.log), "truth": str(done.truth), "decisions": done.decisions})
    else:
        typer.echo(
            f"{done.decisions:,} decisions from {done.begins:%Y-%m-%d} to {done.ends:%Y-%m-%d} in {done.log}, "
            f"truth in {done.truth}"
        )


@app.command()
def train(
    source: Annotated[str, typer.Option(help="Where the log came from, in words; stands on the model card.")],
    log: Logs = None,
    models: Annotated[Path | None, typer.Option(help="Where models lie; default: RISKD_MODELS_DIR.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="Seed of the forest.")] = 1,
    since: Annotated[str | None, typer.Option(help="First day or instant of decisions that teach.")] = None,
    until: Annotated[
        str | None, typer.Option(help="Day or instant they end before; what became of them counts to the log's end.")
    ] = None,
    mature_days: Annotated[
        float, typer.Option(min=0, max=3650, help="How old an attempt must be, at the log's end, to teach.")
    ] = 14,
    truth: Annotated[
        Path | None,
        typer.Option(help="What is true of each decision, to measure by; default: truth.jsonl beside a folder log/."),
    ] = None,
    head: Annotated[
        bool | None,
        typer.Option(
            "--head/--no-head",
            help="Fit a supervised head where labels are enough; default: not on a simulation.",
        ),
    ] = None,
    jobs: Jobs = 0,
    engine: EngineOption = EngineName.LOCAL,
    as_json: AsJson = False,
) -> None:
    """Train the anomaly model on a decision log. The first model becomes current, a later one is a candidate."""
    from riskd.cli.replay import instant  # noqa: PLC0415 - offline parts load only here
    from riskd.learn.declared import Declared  # noqa: PLC0415
    from riskd.learn.told import as_json as told_json  # noqa: PLC0415
    from riskd.learn.told import kinds, show  # noqa: PLC0415
    from riskd.learn.train import train as run  # noqa: PLC0415 - imports scikit-learn
    from riskd.learn.truth import truths_beside  # noqa: PLC0415

    logs = logs_of(log)
    truths = [truth] if truth else truths_beside(logs)
    where, policy = models or settings().models_dir, load(policy_path(settings()))
    columns = (TextColumn("{task.fields[records]:,} records"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    screen = Console(stderr=True)
    shown = Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)
    with opened(engine, jobs) as at_work, shown as bars:
        task = bars.add_task("train", total=None, records=0)
        done = run(
            logs,
            where,
            now=datetime.now(UTC),
            source=source,
            native=not truths,  # a simulation leaves the truth beside its log; real traffic has none
            seed=seed,
            since=instant(since, "--since"),
            until=instant(until, "--until"),
            maturity=timedelta(days=mature_days),
            kinds=kinds(truths) if truths else None,
            declared=Declared(policy.file.attributes, tuple(policy.velocities.values())),
            supervised=head,
            engine=at_work,
            tell=lambda at: bars.update(task, completed=at.done, total=at.total, records=at.records),
        )
    if as_json:
        print_json(told_json(done))
    else:
        show(done, console)


@app.command()
def evaluate(
    log: Logs = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="What is true of each decision; default: truth.jsonl beside log/, or else the outcomes in the log."
        ),
    ] = None,
    last_days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Judge only the last days; earlier ones built history.")
    ] = None,
    model: Annotated[
        str, typer.Option(help="Model whose features are weighed: a version, `current`, or `none`.")
    ] = "current",
    html: Annotated[Path | None, typer.Option(help="Write the report as one page with charts.")] = None,
    examples: Annotated[int, typer.Option(min=0, max=1000, help="Misses and false alarms that are shown.")] = 20,
    jobs: Jobs = 0,
    engine: EngineOption = EngineName.LOCAL,
    as_json: AsJson = False,
) -> None:
    """Report friction for the honest and catch by kind of attack, and what the scores are worth, with intervals."""
    from riskd.cli.replay import write_page  # noqa: PLC0415 - offline parts load only here
    from riskd.learn.evaluate import evaluate as run  # noqa: PLC0415
    from riskd.learn.evaluate.page import page  # noqa: PLC0415
    from riskd.learn.evaluate.table import show  # noqa: PLC0415
    from riskd.learn.truth import truths_beside  # noqa: PLC0415

    logs = logs_of(log)
    weighed, note = _weighed(model)
    with opened(engine, jobs) as at_work, progress("decisions read") as tell:
        report = run(
            logs,
            [truth] if truth else truths_beside(logs),
            last=None if last_days is None else timedelta(days=last_days),
            model=weighed,
            model_note=note,
            examples=examples,
            engine=at_work,
            tell=tell,
        )
    if html is not None:
        write_page(html, page(report))
    if as_json:
        print_json(report.to_json())
        return
    show(report, console)
    if html is not None:
        typer.echo(f"report written to {html}")


def _weighed(version: str) -> tuple[Model | None, str]:
    """Open the model whose features are weighed, or say why there is none; a version must be there."""
    if version == "none":
        return None, "no model was asked for"
    try:
        asked = None if version == "current" else version
        return load_model(settings().models_dir, MODEL_FEATURES, asked), ""
    except ModelError as error:
        if version != "current":
            raise
        return None, str(error)
