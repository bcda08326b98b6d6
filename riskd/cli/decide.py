"""Judge one request without a server, and explain a decision that was made."""

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from riskd.anomaly.load import load_model
from riskd.anomaly.model import Model
from riskd.app.parts import open_engine, policy_path
from riskd.cli.root import AsJson, app, console, fail, settings
from riskd.contract import DecideRequest, Wire
from riskd.errors import ModelError
from riskd.explain import Explanation, SignalLine, explain
from riskd.features import MODEL_FEATURES
from riskd.http.body import MAX_BODY, check_times, parse
from riskd.http.refusal import Refused
from riskd.policy.load import load
from riskd.record.reader import find
from riskd.record.schema import DecisionRecord


@app.command()
def decide(
    file: Annotated[Path | None, typer.Argument(help="A request in JSON; default: stdin.")] = None,
) -> None:
    """Judge one request without a server, on the same store, log and policy; prints the answer as JSON."""
    stream = sys.stdin.buffer if file is None else file.open("rb")
    with stream:
        body = stream.read(MAX_BODY + 1)
    now = datetime.now(UTC)
    if len(body) > MAX_BODY:
        fail(f"a request has at most {MAX_BODY:,} bytes")
    try:
        request = parse(body, DecideRequest)
        check_times(request, now)
    except Refused as refused:
        error = msgspec.json.decode(refused.answer.body)["error"]
        fail("; ".join([error["message"], *(f"{f['path']}: {f['message']}" for f in error.get("fields") or ())]))

    async def run() -> str:
        async with open_engine(settings()) as engine:
            decision = await engine.decide(request, now=now, caller="cli")
            return decision.model_dump_json(indent=2)

    typer.echo(asyncio.run(run()))


@app.command("explain")
def explain_command(
    decision_id: Annotated[str, typer.Argument(help="The decision_id of an answer.")], as_json: AsJson = False
) -> None:
    """Print every signal's state, weight and share of one decision, what the model found odd, what would turn it."""
    where = settings()
    record = find(where.log_dir, decision_id)
    if record is None:
        fail(f"no decision {decision_id} in {where.data_dir / 'log'}")
    policy = load(policy_path(where))
    try:
        model = load_model(where.models_dir, MODEL_FEATURES, record.model_version) if record.model_version else None
    except ModelError as error:
        fail(f"the decision's model {record.model_version} cannot be read: {error}")
    result = explain(record.facts, policy, model)
    same = policy.revision == record.policy_revision and result.score == record.score
    if as_json:
        sys.stdout.write(
            json.dumps(
                {
                    "decision_id": decision_id,
                    "reproduced": same,
                    "recorded": {
                        "outcome": record.outcome,
                        "score": record.score,
                        "policy_revision": record.policy_revision,
                    },
                    "explanation": msgspec.to_builtins(result, enc_hook=_plain),
                },
                indent=2,
            )
            + "\n"
        )
        return
    _print(record, result, model, same=same)


def _print(record: DecisionRecord, result: Explanation, model: Model | None, *, same: bool) -> None:
    console.print(
        f"[bold]{record.outcome}[/bold], score {record.score:g} "
        f"(range {record.score_range[0]:g} to {record.score_range[1]:g}), {escape(record.facts.action.name)} at "
        f"{record.facts.time:%Y-%m-%d %H:%M:%S} UTC"
    )
    console.print(f"step_up from {result.step_up_at:g}, deny from {result.deny_at:g} ({result.action} actions)")
    if record.evidence_met:
        console.print("The session's fresh evidence met the step-up.")
    if record.degraded:
        console.print(f"degraded: {escape(', '.join(record.degraded))}")
    if not same:
        changed = "policy" if result.policy_revision != record.policy_revision else "signal catalogue"
        console.print(
            f"[yellow]The {changed} has changed since (policy {record.policy_revision} then, {result.policy_revision} "
            f"now); below is how the facts are judged today: {result.outcome}, score {result.score:g}.[/yellow]"
        )
    table = Table(show_edge=False)
    for column, justify in (("signal", "left"), ("state", "left"), ("weight", "right"), ("share", "right")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    table.add_column("read")
    for line in result.signals:
        table.add_row(
            line.code,
            line.state,
            f"{line.weight:.2f}",
            f"{line.contribution:.1f}" if line.state == "hit" else "",
            escape(line.why if line.state in {"unknown", "error", "exempt"} else _inputs(line)),
        )
    console.print(table)
    if model is not None and result.anomaly is not None:
        tail = max(1 - result.anomaly, 1e-4)
        console.print(
            f"model {model.version}: anomaly {result.anomaly:.4f} (one honest attempt in {1 / tail:,.0f} is this odd), "
            f"{result.model_share:.1f} points of the score"
        )
        for feature in result.features:
            value = "unknown" if feature.value is None else f"{feature.value:g}"
            console.print(f"  {escape(feature.feature)} = {value}: {feature.contribution:+.2f} powers of ten")
    _print_turns(result)


def _print_turns(result: Explanation) -> None:
    """Print what would have turned the decision."""
    if result.outcome == "allow":
        return
    if not result.counterfactuals:
        console.print("No single or double change of what was known would have turned it.")
        return
    table = Table(show_edge=False)
    table.add_column("it would have been")
    table.add_column("score", justify="right")
    for turn in result.counterfactuals:
        table.add_row(escape(turn.text), f"{turn.score:g}")
    console.print(table)


def _plain(wire: Wire) -> dict[str, Any]:
    return wire.model_dump(mode="json")


def _inputs(line: SignalLine) -> str:
    return ", ".join(f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in line.inputs.items())
