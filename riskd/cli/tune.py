"""`riskd tune`: thresholds from the log, as a change to review."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from riskd.app.parts import policy_path
from riskd.cli.learn import current_model
from riskd.cli.replay import Logs, Since, Until, instant, write_page
from riskd.cli.root import AsJson, app, console, fail, print_json, settings
from riskd.policy.load import load
from riskd.record.reader import ReadReport, read_lines
from riskd.record.schema import decode_all

if TYPE_CHECKING:
    from riskd.learn.tune.goals import Goal


def _share(text: str) -> float:
    """Read a share that can be asked for; raises typer.BadParameter."""
    from riskd.learn.share import read_share  # noqa: PLC0415 - offline parts load only here

    try:
        share = read_share(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}") from None
    if share in {0, 1}:
        raise typer.BadParameter(f"{text!r} asks for nothing: write more than 0% and less than 100%")
    return share


def _asked(text: str) -> typer.models.OptionInfo:
    """Return an option for a share."""
    option: typer.models.OptionInfo = typer.Option(parser=_share, metavar="SHARE", help=text)
    return option


@app.command()
def tune(
    max_step_up: Annotated[
        float | None, _asked("Step up or deny at most this share of the decisions about honest subjects, e.g. 1%.")
    ] = None,
    min_catch: Annotated[float | None, _asked("Or: step up or deny at least this share of known attacks.")] = None,
    cost_step_up: Annotated[
        float | None, typer.Option(min=0, help="Or: what one honest decision stepped up or denied costs …")
    ] = None,
    cost_missed: Annotated[float | None, typer.Option(min=0, help="… and one attack that is let through.")] = None,
    max_deny: Annotated[float | None, _asked("Choose deny too: deny at most this share of honest ones.")] = None,
    within: Annotated[
        float | None, _asked("How wide, ±, the promise may be; default: half of the share asked for.")
    ] = None,
    action: Annotated[
        list[str] | None, typer.Option(help="Tune only this class of actions; may be repeated. Default: all.")
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="Policy file to tune; default: the one in use.")] = None,
    log: Logs = None,
    since: Since = None,
    until: Until = None,
    write: Annotated[
        bool, typer.Option("--write", help="Change the policy file instead of printing the diff.")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="Write the report as one page with charts.")] = None,
    as_json: AsJson = False,
) -> None:
    """Choose thresholds by class of actions from a log, promise what they ask of honest subjects, show the diff."""
    from riskd.learn.sources import log_sources  # noqa: PLC0415 - offline parts load only here
    from riskd.learn.tune import change, page, report  # noqa: PLC0415
    from riskd.learn.tune.tune import tune as run  # noqa: PLC0415

    where = settings()
    path = policy or policy_path(where)
    goal = _goal(max_step_up, min_catch, cost_step_up, cost_missed)
    in_force = load(path)
    begin, end, met = instant(since, "--since"), instant(until, "--until"), ReadReport()
    # What came out about the last decisions stands up to this much later.
    latest = None if end is None else end + in_force.file.learning.outcome_window + timedelta(days=1)
    lines = read_lines(log_sources(log or [where.log_dir]), since=begin, until=latest, report=met)
    with Console(stderr=True).status("judging the log"):
        tuned = run(
            decode_all(lines, met.refused),
            change.read(path),
            str(path),
            current_model(where, in_force),
            goal,
            within=within,
            max_deny=max_deny,
            only=frozenset(action or ()),
            since=begin,
            until=end,
        )
    difference = change.diff(tuned.before, tuned.after, str(path))
    written = write and bool(difference)
    if written:
        change.write(path, tuned.after)
    if html is not None:
        write_page(html, page.page(tuned, difference, str(path)))
    if as_json:
        print_json(tuned.to_json() | {"diff": difference, "written": written})
        return
    report.show(tuned, console)
    if met.refused:
        typer.echo("left out: " + ", ".join(f"{count:,} {why} lines" for why, count in met.refused.items()))
    if not difference:
        typer.echo(f"{path} has these thresholds already")
    elif written:
        typer.echo(f"{path} is changed; `riskd check {path}`, then look at `git diff`")
    else:
        sys.stdout.write(f"\n{difference}\n")
        typer.echo(f"{path} is not changed yet; `--write` does it")
    if html is not None:
        typer.echo(f"report written to {html}")


def _goal(
    max_step_up: float | None, min_catch: float | None, cost_step_up: float | None, cost_missed: float | None
) -> "Goal":
    """Return the one goal that was named; leaves with a line when there is none or several."""
    from riskd.learn.tune.goals import LeastCost, MaxStepUp, MinCatch  # noqa: PLC0415

    goals: list[Goal] = []
    if max_step_up is not None:
        goals.append(MaxStepUp(max_step_up))
    if min_catch is not None:
        goals.append(MinCatch(min_catch))
    if cost_step_up is not None and cost_missed is not None:
        goals.append(LeastCost(cost_step_up, cost_missed))
    elif (cost_step_up, cost_missed) != (None, None):
        fail("--cost-step-up and --cost-missed go together", 2)
    if len(goals) != 1:
        fail("say one goal: --max-step-up 1%, or --min-catch 95%, or --cost-step-up 1 --cost-missed 200", 2)
    return goals[0]
