"""Learn from logs: simulate a population, train the anomaly model, see what decisions were worth."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from riskd.anomaly.load import load_model
from riskd.anomaly.model import Model
from riskd.app.parts import policy_path
from riskd.cli.root import AsJson, app, console, fail, print_json, settings
from riskd.errors import ModelError
from riskd.features import MODEL_FEATURES
from riskd.policy import Policy
from riskd.policy.load import load
from riskd.settings import Settings

Log = Annotated[
    Path, typer.Option("--log", help="A decision log: the folder `log/` below a data or simulation folder.")
]


def current_model(where: Settings, policy: Policy) -> Model | None:
    """Load the current model; without one say so, or raise ModelError where the policy wants one."""
    try:
        return load_model(where.models_dir, MODEL_FEATURES)
    except ModelError as error:
        if policy.file.anomaly.missing == "refuse":
            raise
        sys.stderr.write(f"riskd: no model ({error}); the declared signals judge alone\n")
        return None


def _log_folder(path: Path) -> Path:
    """Accept the folder that holds `log/` as well as the log itself."""
    return path / "log" if (path / "log").is_dir() else path


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="Folder to write log/ and truth.jsonl into; must not hold any yet.")],
    subjects: Annotated[int, typer.Option(min=100, help="People of the simulated world.")] = 20_000,
    days: Annotated[int, typer.Option(min=2, help="Days that are played.")] = 120,
    seed: Annotated[int, typer.Option(help="The same seed gives the same attempts.")] = 1,
    without_model: Annotated[
        bool, typer.Option("--without-model", help="Let the declared signals decide alone.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Play a population with habits, and attackers among it, against the real engine; write the decision log."""
    from riskd.learn.simulate.run import simulate as run  # noqa: PLC0415 - offline parts load only here
    from riskd.learn.simulate.stream import Size  # noqa: PLC0415

    where = settings()
    policy = load(policy_path(where))
    model = None if without_model else current_model(where, policy)
    try:
        done = run(out, Size(subjects=subjects, days=days, seed=seed), policy, model)
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
    log: Log,
    source: Annotated[str, typer.Option(help="Where the log came from, in words; stands on the model card.")],
    models: Annotated[Path | None, typer.Option(help="Where models lie; default: RISKD_MODELS_DIR.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the forest.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Train the anomaly model on a decision log and make it current; running services take it over."""
    from riskd.learn.train import train as run  # noqa: PLC0415 - imports scikit-learn

    folder = _log_folder(log)
    # A simulation leaves the truth beside its log; real traffic has none.
    native = not (folder.parent / "truth.jsonl").exists()
    where = models or settings().models_dir
    done = run(folder, where, now=datetime.now(UTC), source=source, native=native, seed=seed)
    if as_json:
        print_json({"version": done.version, "folder": str(done.folder), "rows": done.rows, "metrics": done.metrics})
    else:
        typer.echo(
            f"model {done.version}, trained on {done.rows:,} honest attempts, is current in {done.folder.parent}"
        )


@app.command()
def evaluate(
    log: Log,
    truth: Annotated[
        Path | None, typer.Option(help="What is true of each decision; default: truth.jsonl beside log/.")
    ] = None,
    last_days: Annotated[
        int | None, typer.Option(min=1, help="Judge only the last days; earlier ones built history.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print friction for the honest and catch by kind of attack, with intervals."""
    from riskd.learn.evaluate import evaluate as run  # noqa: PLC0415 - offline parts load only here
    from riskd.record.reader import read  # noqa: PLC0415

    folder = _log_folder(log)
    since = None
    if last_days is not None:
        last = None
        for record in read(folder):
            last = record.when
        if last is None:
            fail(f"no records in {folder}")
        since = last - timedelta(days=last_days)
    result = run(folder, truth or folder.parent / "truth.jsonl", since=since)
    if as_json:
        print_json(result.to_json())
    else:
        console.print(result.table())
