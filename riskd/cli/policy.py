"""Policy files: check them, start one, and what editors and readers need."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from riskd.app.candidates import CandidateFiles
from riskd.app.cases.document import cases_schema
from riskd.app.parts import open_leaked, open_lists, open_named, policy_path
from riskd.cli.declared import declared, show_declared
from riskd.cli.root import AsJson, app, console, fail, print_json, settings
from riskd.enrich.identity import KEY_BYTES, Pseudonyms
from riskd.enrich.named import NamedLists
from riskd.errors import ConfigError, DataError, Mistake, PolicyError
from riskd.policy import Policy
from riskd.policy.load import SHIPPED, load
from riskd.policy.named import exempts
from riskd.reference import policy_schema
from riskd.reference import reference as reference_text

Names = Annotated[
    list[Path] | None, typer.Argument(help="Policy files; default: the one that `riskd serve` would use.")
]
OfCases = Annotated[bool, typer.Option("--cases", help="That of the cases that `riskd test` judges.")]


@app.command()
def check(files: Names = None, as_json: AsJson = False) -> None:
    """Check policy files; print every mistake with its line and column, the wrong word and the nearest right ones."""
    wrong = 0
    reports = []
    for path in files or [policy_path(settings())]:
        try:
            policy = load(path)
            open_lists(policy, path)
            open_leaked(policy, path)
            named = open_named(policy, path, Pseudonyms(bytes(KEY_BYTES)))  # any key will do to read the entries
            _try_candidates(policy, path)
        except PolicyError as error:
            wrong += 1
            reports.append({"file": str(path), "mistakes": [asdict(mistake) for mistake in error.mistakes]})
            if not as_json:
                for mistake in error.mistakes:
                    sys.stderr.write(f"{mistake.at(str(path))}\n")
        except ConfigError as error:
            wrong += 1
            mistake = Mistake(0, "lists" if isinstance(error, DataError) else "candidates", str(error))
            reports.append({"file": str(path), "mistakes": [asdict(mistake)]})
            if not as_json:
                sys.stderr.write(f"{mistake.at(str(path))}\n")
        else:
            lists = list(_lists(policy, named))
            own = declared(policy)
            reports.append({"file": str(path), "revision": policy.revision, "mistakes": [], "lists": lists, **own})
            if not as_json:
                _show(policy, path)
                show_declared(own)
                _show_lists(lists)
    if as_json:
        print_json(reports)
    raise typer.Exit(1 if wrong else 0)


def _try_candidates(policy: Policy, path: Path) -> None:
    """Load what the policy names for rollout and shadow; raises ConfigError that names the candidate's file."""
    unsigned = settings().model_copy(update={"policy_keys": None})  # whose word it is, is not asked here
    try:
        CandidateFiles(unsigned, path).load(policy)
    except PolicyError as error:
        raise ConfigError(str(error)) from error


def _show(policy: Policy, path: Path) -> None:
    table = Table(title=f"{escape(str(path))}: in order, revision {policy.revision}", title_justify="left")
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
            escape(", ".join(names)),
        )
    console.print(table)


def _lists(policy: Policy, named: NamedLists) -> Iterator[dict[str, Any]]:
    """Yield all lists in the order of precedence: denials, then what allow lists lift, then feeds."""
    lists = policy.file.lists
    states = sorted(named.sources(), key=lambda source: source.declared.kind == "allow")
    if lists.deny.networks:
        yield {
            "list": "lists.deny.networks",
            "kind": "deny",
            "of": "network",
            "entries": {"policy": len(lists.deny.networks)},
            "does": "denied_network",
        }
    for source in states:
        one = source.declared
        entries = source.counts() | ({"store": "?"} if one.store else {})
        does = "deny_listed" if one.kind == "deny" else f"lifts {', '.join(sorted(exempts(one))) or 'nothing'}"
        yield {"list": source.name, "kind": one.kind, "of": one.of, "entries": entries, "does": does}
    for feed in lists.feeds:
        yield {"list": feed.name, "kind": "feed", "of": "network", "entries": {"file": feed.file}, "does": "listed_ip"}


def _show_lists(lists: list[dict[str, Any]]) -> None:
    if not lists:
        return
    table = Table(title="lists, the strongest first: deny, allow, feeds", title_justify="left")
    for column in ("list", "kind", "of", "entries", "what it does"):
        table.add_column(column)
    for one in lists:
        entries = ", ".join(f"{place} {count}" for place, count in one["entries"].items() if count)
        table.add_row(*map(escape, (one["list"], one["kind"], one["of"], entries, one["does"])))
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
    cases = path.with_name(f"{path.stem}.cases.yaml")
    with suppress(OSError), cases.open("x", encoding="utf-8") as file:  # never over the cases that are there
        file.write((SHIPPED / "cases" / f"{use}.yaml").read_text(encoding="utf-8"))
    typer.echo(f"wrote {path} and {cases}; change them, then `riskd check {path}` and `riskd test {path}`")


@app.command()
def schema(*, cases: OfCases = False) -> None:
    """Print the JSON Schema of policy files, or of files of cases, for editors."""
    print_json(cases_schema() if cases else policy_schema())


@app.command()
def reference() -> None:
    """Print the reference of signals, features, policy keys, fields, settings and metrics, in Markdown."""
    sys.stdout.write(reference_text())
