"""Try a policy on cases: what came before, the attempt, and what should come out."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import msgspec
import typer
from rich.text import Text

from riskd.anomaly.load import load_model
from riskd.anomaly.model import Model
from riskd.app.cases.junit import junit
from riskd.app.cases.load import Ready, beside, files
from riskd.app.cases.load import load as load_cases
from riskd.app.cases.run import Result, open_rehearsal
from riskd.app.parts import policy_path
from riskd.cli import EXIT_CONFIG
from riskd.cli.root import AsJson, app, console, fail, print_json, settings
from riskd.contract import Decision
from riskd.errors import ModelError, PolicyError
from riskd.features import MODEL_FEATURES
from riskd.policy import Policy
from riskd.policy.load import load
from riskd.settings import Settings

EXIT_USAGE = 2
MOST_REASONS = 5
"""Reasons that say why, largest first."""

PolicyFile = Annotated[Path | None, typer.Argument(help="Default: the policy that `riskd serve` would use.")]
Cases = Annotated[
    list[Path] | None,
    typer.Argument(help="Files of cases, or folders of them; default: <policy>.cases.yaml, or cases/, beside it."),
]
Junit = Annotated[Path | None, typer.Option("--junit", help="Also write the results as JUnit XML.", metavar="FILE")]
Part = Annotated[str, typer.Option("-k", help="Only cases with this in their name.", metavar="TEXT")]
NoModel = Annotated[bool, typer.Option("--no-model", help="Judge by the declared signals alone.")]


@app.command("test")
def try_policy(
    policy: PolicyFile = None,
    cases: Cases = None,
    as_json: AsJson = False,
    xml: Junit = None,
    part: Part = "",
    no_model: NoModel = False,
) -> None:
    """Judge a policy's cases by the real engine and say what comes out otherwise; 1 when something does.

    Uses an embedded store of its own: nothing touches the service's store, log or secrets.
    """
    where = settings()
    path = policy or policy_path(where)
    read, ready = _read(path, cases, as_json=as_json)
    ready = [case for case in ready if part.casefold() in case.name.casefold()]
    if not ready:
        fail(f"no case has {part!r} in its name", EXIT_USAGE)
    model = None if no_model else _open_model(where, read)
    begun = datetime.now(UTC)

    async def run() -> list[Result]:
        async with open_rehearsal(where, read, path, model) as rehearsal:
            results = []
            for case in ready:
                results.append(await rehearsal.judge(case))
                if not as_json:
                    _show(results[-1])
            return results

    results = asyncio.run(run())
    if xml is not None:
        _write(xml, junit(results, [story(result) for result in results], begun))
    counts = {status: sum(r.status == status for r in results) for status in ("passed", "failed", "error")}
    seconds = round((datetime.now(UTC) - begun).total_seconds(), 3)
    if as_json:
        print_json(_report(path, read, model, counts, seconds, results))
    else:
        _sum_up(read, model, counts, seconds)
    raise typer.Exit(0 if counts["passed"] == len(results) else 1)


def _read(path: Path, named: list[Path] | None, *, as_json: bool) -> tuple[Policy, list[Ready]]:
    """Read the policy and its cases; tells every mistake of all files and leaves when there is any."""
    try:
        policy = load(path)
    except PolicyError as error:
        _tell([error], as_json=as_json)
    wrong: list[PolicyError] = []
    ready: list[Ready] = []
    where = named or beside(path)
    if not where:
        fail(f"no cases: write {path.with_name(f'{path.stem}.cases.yaml')}, or name a file", EXIT_USAGE)
    for file in files(where):
        try:
            ready += load_cases(file, policy)
        except PolicyError as error:
            wrong.append(error)
    if wrong:
        _tell(wrong, as_json=as_json)
    return policy, ready


def _open_model(where: Settings, policy: Policy) -> Model | None:
    """Load the model that would serve; None where the policy can do without one."""
    try:
        return load_model(where.models_dir, MODEL_FEATURES)
    except ModelError as error:
        if policy.file.anomaly.missing == "refuse":
            fail(f"{error}; with --no-model the declared signals decide alone", EXIT_CONFIG)
        return None


def _tell(errors: list[PolicyError], *, as_json: bool) -> NoReturn:
    if as_json:
        print_json({"mistakes": [{"file": e.source, **msgspec.to_builtins(m)} for e in errors for m in e.mistakes]})
    else:
        for error in errors:
            for mistake in error.mistakes:
                sys.stderr.write(f"{mistake.at(error.source)}\n")
    raise typer.Exit(EXIT_CONFIG)


def _write(path: Path, document: bytes) -> None:
    try:
        path.write_bytes(document)
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}", EXIT_USAGE)


_MARKS = {"passed": ("✓", "green"), "failed": ("✗", "red"), "error": ("!", "yellow")}
_COLOURS = {"-": "red", "+": "green"}


def _show(result: Result) -> None:
    mark, colour = _MARKS[result.status]
    line = Text.assemble((f"{mark} ", colour), result.case.name)
    if result.status != "passed":
        line.append(f"  {result.case.file}:{result.case.line}", "dim")
    console.print(line, soft_wrap=True)
    for said in story(result).splitlines():
        console.print(Text(f"    {said}", _COLOURS.get(said[:1], "")), soft_wrap=True)


def story(result: Result) -> str:
    """Return what came out otherwise, as a diff from what was expected to what came, and why; empty when nothing."""
    if result.trouble:
        return result.trouble
    decision = result.decision
    if decision is None or not result.differences:
        return ""
    lines = []
    for difference in result.differences:
        lines.append(f"- {difference.what}: {_said(difference.expected)}")
        lines.append(f"+ {difference.what.removeprefix('not_')}: {_said(difference.got)}")
    low, high = decision.score_range
    plan = result.plan
    lines.append(
        f"score {decision.score:g} (range {low:g} to {high:g}); {plan.action}: step_up from {plan.step_up_at:g}, "
        f"deny from {plan.deny_at:g}"
    )
    lines.append(f"why: {_why(decision)}")
    return "\n".join(lines)


def _why(decision: Decision) -> str:
    told = [
        f"{reason.code} {reason.contribution:g}"
        + (f" (floor {floor})" if (floor := reason.detail.get("floor")) else "")
        for reason in decision.reasons[:MOST_REASONS]
    ]
    if len(decision.reasons) > MOST_REASONS:
        told.append(f"{len(decision.reasons) - MOST_REASONS} more")
    if decision.degraded:
        told.append(f"degraded: {', '.join(decision.degraded)}")
    return " · ".join(told) or "no signal hit"


def _said(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_said(item)}" for name, item in value.items())
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _sum_up(policy: Policy, model: Model | None, counts: dict[str, int], seconds: float) -> None:
    words = {"passed": "passed", "failed": "failed", "error": "could not be judged"}
    said = ", ".join(f"{count} {words[status]}" for status, count in counts.items() if count)
    by = f"policy {policy.revision}, " + ("no model" if model is None else f"model {model.version}")
    colour = "green" if not counts["failed"] + counts["error"] else "red"
    console.print(Text(f"{said} in {seconds:.2f} s ({by})", colour), soft_wrap=True)


def _report(
    path: Path, policy: Policy, model: Model | None, counts: dict[str, int], seconds: float, results: list[Result]
) -> dict[str, Any]:
    return {
        "policy": str(path),
        "policy_revision": policy.revision,
        "model_version": None if model is None else model.version,
        **counts,
        "seconds": seconds,
        "cases": [
            {
                "name": result.case.name,
                "file": str(result.case.file),
                "line": result.case.line,
                "status": result.status,
                "seconds": round(result.seconds, 4),
                "differences": msgspec.to_builtins(result.differences),
                "trouble": result.trouble or None,
                "decision": None if result.decision is None else result.decision.model_dump(mode="json"),
            }
            for result in results
        ],
    }
