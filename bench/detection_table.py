"""The table of docs/science.md, from bench/detection.json."""

from typing import Any

NAMES = {
    "naive": "naive",
    "vpn": "VPN",
    "targeted": "targeted",
    "very_targeted": "very targeted",
    "clone": "full clone",
}
MEASURES = ("auc", "catch_at_1pct", "step_up_for_90pct")
BEGIN, END = "<!-- detection -->", "<!-- end of detection -->"


def table(result: dict[str, Any]) -> str:
    """Return the rows in Markdown: AUC / catch at 1 % false alarms / step-up rate for 90 % catch, intervals after."""
    fresh = result["fresh_logs"]["logs"]
    head = ["attacker", "riskd", "95 % interval", f"{len(fresh)} new logs, mean", "Freeman", "Freeman, no prior"]
    rows = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for kind, name in NAMES.items():
        cells = [name, _shown(result[kind]), " ".join(_interval(result["intervals"][kind][m]) for m in MEASURES)]
        cells.append(_shown({m: sum(log[kind][m] for log in fresh) / len(fresh) for m in MEASURES}) if fresh else "")
        cells += [_shown(result.get(baseline, {}).get(kind)) for baseline in ("freeman", "freeman_without_prior")]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def within(page: str, result: dict[str, Any]) -> str:
    """Return the page with the table between its marks renewed."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(result)}{END}{after}"


def _shown(measured: dict[str, float] | None) -> str:
    return "" if measured is None else " / ".join(_number(measured[name]) for name in MEASURES)


def _interval(ends: list[float]) -> str:
    return f"{_number(ends[0])}-{_number(ends[1])}"


def _number(share: float) -> str:
    return f"{share:.3f}".removeprefix("0")
