"""`riskd gate`: fails a build whose policy or model troubles honest people or lets attackers in."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from riskd.anomaly.artifact import CURRENT_FILE
from riskd.anomaly.load import load_model
from riskd.anomaly.model import Model
from riskd.app.parts import policy_path
from riskd.cli.learn import current_model
from riskd.cli.root import AsJson, app, console, fail, print_json, settings
from riskd.features import MODEL_FEATURES
from riskd.policy import Policy
from riskd.policy.load import load
from riskd.settings import Settings

if TYPE_CHECKING:
    from riskd.learn.gate import Gated

_COLOURS = {"held": "", "unsure": "yellow", "broken": "red", "untold": "red"}


@app.command()
def gate(
    policy: Annotated[Path | None, typer.Option(help="Policy to try; default: the one in use.")] = None,
    model: Annotated[
        str, typer.Option(help="Model to try: a version, `current`, `none`, or the folder of an artifact.")
    ] = "current",
    bands: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Bands to hold it to; default: those for the shipped policy.")
    ] = None,
    subjects: Annotated[int, typer.Option(min=100, max=50_000, help="People of the simulated world.")] = 6000,
    days: Annotated[
        int, typer.Option(min=2, help="Days that are played; the first half builds up history, the second is judged.")
    ] = 120,
    seed: Annotated[
        int, typer.Option(help="The same seed gives the same attempts. The shipped model was trained with seed 1.")
    ] = 2,
    rate: Annotated[
        float, typer.Option(min=0.1, max=50, help="Attacks of each kind per thousand honest logins.")
    ] = 20.0,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Also write the results as JUnit XML.", metavar="FILE")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Play a world against a policy and a model; 1 when honest friction or the catch of a kind left its band.

    Uses an embedded store of its own: nothing touches the service's store, log or secrets.
    """
    from riskd.learn.bands import SHIPPED_BANDS, read_bands  # noqa: PLC0415 - offline parts load only here
    from riskd.learn.gate import gate as run  # noqa: PLC0415
    from riskd.learn.simulate.stream import Size  # noqa: PLC0415

    where, begun = settings(), datetime.now(UTC)
    held_to = read_bands(bands or SHIPPED_BANDS)
    tried = load(policy or policy_path(where))
    with Console(stderr=True).status("playing a world"):
        try:
            found = run(
                tried,
                _model(model, where, tried),
                held_to,
                Size(subjects=subjects, days=days, seed=seed),
                rate=rate,
            )
        except ValueError as error:
            fail(str(error), 2)
    if junit is not None:
        try:
            junit.write_bytes(found.junit(begun))
        except OSError as error:
            fail(f"{junit}: cannot be written: {error.strerror or error}", 2)
    if as_json:
        print_json(found.to_json())
    else:
        _show(found)
    raise typer.Exit(1 if found.failed else 0)


def _model(named: str, where: Settings, policy: Policy) -> Model | None:
    """Load the model that is named; raises ModelError."""
    if named == "none":
        return None
    if named == "current":
        return current_model(where, policy)
    path = Path(named)
    if not path.is_dir():
        return load_model(where.models_dir, MODEL_FEATURES, named)
    if (path / CURRENT_FILE).exists():
        return load_model(path, MODEL_FEATURES)
    folder = path.resolve()
    return load_model(folder.parent, MODEL_FEATURES, folder.name)


def _show(found: "Gated") -> None:
    by = "no model" if found.model_version is None else f"model {found.model_version}"
    table = Table(
        title=f"{found.decisions:,} decisions by policy {found.policy_revision}, {by}",
        caption="95 % intervals",
    )
    for column in ("what", "band"):
        table.add_column(column)
    table.add_column("share (interval, n)", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for verdict in found.verdicts:
        table.add_row(
            verdict.name, str(verdict.band), str(verdict.share), verdict.status, style=_COLOURS[verdict.status]
        )
    console.print(table)
    for verdict in found.verdicts:
        if verdict.status != "held":
            typer.echo(f"{verdict.status}: {verdict}")
