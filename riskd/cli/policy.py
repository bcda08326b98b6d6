"""Policy files: check them, start one, and what editors and readers need."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from riskd.app.parts import open_lists, policy_path
from riskd.cli.root import AsJson, app, console, fail, print_json, settings
from riskd.errors import DataError, PolicyError
from riskd.policy import Policy
from riskd.policy.load import SHIPPED, load
from riskd.reference import policy_schema
from riskd.reference import reference as reference_text

Names = Annotated[
    list[Path] | None, typer.Argument(help="Policy files; default: the one that `riskd serve` would use.")
]


@app.command()
def check(files: Names = None, as_json: AsJson = False) -> None:
    """Check policy files; print every mistake with its line, the wrong word and the nearest right ones."""
    wrong = 0
    reports = []
    for path in files or [policy_path(settings())]:
        try:
            policy = load(path)
            open_lists(policy, path)
        except PolicyError as error:
            wrong += 1
            reports.append(
                {
                    "file": str(path),
                    "mistakes": [
                        {"line": m.line, "path": m.path, "message": m.message, "nearest": m.nearest}
                        for m in error.mistakes
                    ],
                }
            )
            if not as_json:
                for mistake in error.mistakes:
                    sys.stderr.write(f"{path}: {mistake}\n")
        except DataError as error:
            wrong += 1
            wrong_list = {"line": 0, "path": "lists", "message": str(error), "nearest": ()}
            reports.append({"file": str(path), "mistakes": [wrong_list]})
            if not as_json:
                sys.stderr.write(f"{path}: lists: {error}\n")
        else:
            reports.append({"file": str(path), "revision": policy.revision, "mistakes": []})
            if not as_json:
                _show(policy, path)
    if as_json:
        print_json(reports)
    raise typer.Exit(1 if wrong else 0)


def _show(policy: Policy, path: Path) -> None:
    table = Table(title=f"{path}: in order, revision {policy.revision}", title_justify="left")
    table.add_column("action class", no_wrap=True)
    for column in ("step_up", "deny", "level", "fail mode", "sensitive", "names"):
        table.add_column(column)
    for kind in ("other", *policy.file.actions):
        names = policy.file.actions[kind].names if kind in policy.file.actions else ("any other name",)
        plan = policy.plan(names[0], None, None, None)
        table.add_row(
            kind,
            f"{plan.step_up_at:g}",
            f"{plan.deny_at:g}",
            str(plan.level),
            plan.fail_mode.word,
            "yes" if plan.sensitive else "",
            ", ".join(names),
        )
    console.print(table)


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("riskd.yaml"),
    use: Annotated[str, typer.Option(help="Which shipped policy to start from.")] = "default",
) -> None:
    """Write a commented policy file to start from; never overwrites one."""
    shipped = sorted(p.stem for p in SHIPPED.glob("*.yaml"))
    if use not in shipped:
        fail(f"no shipped policy is called {use!r}; there are {', '.join(shipped)}")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write((SHIPPED / f"{use}.yaml").read_text(encoding="utf-8"))
    except FileExistsError:
        fail(f"{path} exists already; name another path")
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}")
    typer.echo(f"wrote {path}; change it, then `riskd check {path}`")


@app.command()
def schema() -> None:
    """Print the JSON Schema of policy files, for editors."""
    print_json(policy_schema())


@app.command()
def reference() -> None:
    """Print the reference of signals, features, policy keys, fields, settings and metrics, in Markdown."""
    sys.stdout.write(reference_text())
