"""The evaluation as one HTML page that needs nothing else."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from riskd.learn.evaluate import chart
from riskd.learn.evaluate.curve import Curve
from riskd.learn.evaluate.report import Evaluated, Example, Group
from riskd.learn.evaluate.resample import Estimate
from riskd.learn.evaluate.run import FROM_OUTCOMES
from riskd.learn.evaluate.table import why
from riskd.learn.replay.markup import (
    bear_in_mind,
    cell,
    document,
    facts,
    figure,
    number,
    pair,
    row,
    section,
    table,
    tiles,
)
from riskd.learn.share import Share

SHOWN_GROUPS = 15
SHOWN_FEATURES = 25
_MEASURES = {"score": "the policy's score, 0 to 100", "anomaly": "the model's anomaly alone"}


def page(report: Evaluated) -> str:
    """Return the whole page."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    return document(f"Evaluation of {report.decisions:,} decisions", _sections(report), style)


def _sections(report: Evaluated) -> Iterator[str]:
    yield _facts(report)
    yield _tiles(report)
    yield _friction_and_catch(report)
    for measure, curves in report.curves.items():
        if curves:
            yield _curves(report, measure, curves)
    yield _calibration(report)
    yield _transfer(report)
    yield _reauthentications(report)
    yield _fairness(report)
    yield _importance(report)
    said = "A sample, every kind in turn. On the right stands what the model found odd, in powers of ten."
    yield _examples("Attacks that came through", said, report.misses, "None did.")
    yield _examples("Honest attempts that were stopped", "A sample.", report.false_alarms, "None was.")
    yield bear_in_mind(report.notes)


def _facts(report: Evaluated) -> str:
    truth = "reported outcomes" if report.truth == FROM_OUTCOMES else report.truth
    rows = (
        ("time judged", f"{report.first:%Y-%m-%d %H:%M} to {report.last:%Y-%m-%d %H:%M} UTC"),
        ("truth from", escape(truth)),
        ("prevalence", f"{report.prevalence} are attacks"),
        ("models", _versions(report.models)),
        ("policies", _versions(report.policies)),
        ("log", escape(", ".join(report.log))),
    )
    return facts(rows)


def _versions(found: dict[str, int]) -> str:
    return ", ".join(f"<code>{escape(name)}</code> ({count:,})" for name, count in found.items())


def _tiles(report: Evaluated) -> str:
    stopped = report.operating_point["attacks"]
    found = [
        (_percent(report.honest_logins), "of honest logins stepped up or denied"),
        (_percent(report.honest_actions), "of honest other actions"),
        (_percent(stopped), f"of {stopped.total:,} attempts of attackers stopped"),
        (_percent(report.prevalence), "of the decisions are attacks (prevalence)"),
        *(
            (f"{curves[0].roc_auc.value:.3f}", f"ROC AUC of the {measure}, all attacks")
            for measure, curves in report.curves.items()
            if curves
        ),
    ]
    return tiles(found)


def _friction_and_catch(report: Evaluated) -> str:
    friction = [
        ("honest logins", report.honest_logins, "now"),
        *((f"{name} confirmed before", share, "now") for name, share in report.by_history.items()),
        ("after an attack", report.after_attack, "now"),
        ("logins denied", report.honest_denied, "now"),
        ("other actions", report.honest_actions, "now"),
    ]
    caught = [(kind.replace("_", " "), share, "now") for kind, share in report.stopped.items() if share.total]
    figures = [figure("Honest attempts stepped up or denied", chart.shares(friction, "friction"))]
    if caught:
        figures.append(figure("Attacks stopped, by kind", chart.shares(caught, "catch by kind")))
    return section("Friction and catch", "What was decided. Whiskers are 95 % intervals over subjects.", pair(*figures))


def _curves(report: Evaluated, measure: str, curves: Sequence[Curve]) -> str:
    keys = "".join(f'<span class="legend">{_swatch(i)}{_kind(curve)}</span> ' for i, curve in enumerate(curves))
    at = report.operating_point
    rows = [
        row(
            f'<td class="kind">{_kind(curve)}</td>',
            number(f"{curve.attacks:,}"),
            *map(_estimate, (curve.roc_auc, curve.average_precision, curve.equal_error_rate)),
            *map(_estimate, curve.catch_at.values()),
            *map(_estimate, curve.false_alarms_for.values()),
        )
        for curve in curves
    ]
    first = curves[0]
    head = ["attack", "#n", "#ROC AUC", "#average precision", "#equal error rate"]
    head += [f"#catch at {100 * float(share):g} %" for share in first.catch_at]
    head += [f"#friction for {100 * float(share):g} %" for share in first.false_alarms_for]
    said = (
        f"If a threshold on {_MEASURES[measure]} decided alone, attempt by attempt, against all "
        f"{first.honest:,} honest attempts. The hollow mark is what was really decided."
    )
    return section(
        f"Curves of the {measure}",
        said,
        f'<p class="swatches">{keys}</p>',
        pair(
            figure("Friction and catch, logarithmic", chart.friction_catch(curves, at["honest"], at["attacks"])),
            figure("ROC", chart.roc(curves)),
            figure("Precision and recall", chart.precision_recall(curves, report.prevalence.value)),
            figure("Attacks by score", _bands(report)) if measure == "score" else "",
        ),
        table(head, rows),
    )


def _kind(curve: Curve) -> str:
    return escape(curve.kind.replace("_", " "))


def _swatch(line: int) -> str:
    return f'<span class="swatch {chart.colour(line)}"></span>'


def _estimate(found: Estimate) -> str:
    low, high = found.interval
    known = f'<br><span class="soft">{low:.3f}-{high:.3f}</span>' if found.known else ""
    return number(f"{found.value:.3f}{known}")


def _bands(report: Evaluated) -> str:
    rows = [(f"score {band.low:g} to {band.high:g}", band.attacks, "now") for band in report.bands]
    return chart.shares(rows, "share of attacks by score", report.prevalence)


def _calibration(report: Evaluated) -> str:
    if not report.calibration:
        return section("Calibration", "No decision was made with a model.")
    rows = [row(number(f"{100 * point.tail:g} %"), number(str(point.observed))) for point in report.calibration]
    said = (
        "An anomaly of 0.99 promises that one honest attempt in a hundred is at least as odd. On the diagonal the "
        "promise is kept; above it there are more false alarms than promised."
    )
    plot = figure("Observed over promised, honest attempts", chart.calibration(report.calibration))
    return section("Calibration", said, pair(plot, figure("In numbers", table(["#promised", "#observed"], rows))))


def _transfer(report: Evaluated) -> str:
    if not report.transfer:
        return section("Threshold transfer", "Too few honest attempts in one half of the time.")
    rows = [
        row(
            cell(f"{100 * one.target:g} % on the {one.measure}"),
            number(f"{one.threshold:.4g}"),
            number(str(one.earlier)),
            number(str(one.later)),
        )
        for one in report.transfer
    ]
    said = "The lowest threshold that keeps to a share of honest attempts in the first half of the time, in the second."
    return section("Threshold transfer", said, table(["set for", "#threshold", "#first half", "#second half"], rows))


def _reauthentications(report: Evaluated) -> str:
    rows = [
        row(
            cell(line.history if line.history == "all" else f"{line.history} confirmed before"),
            number(f"{line.subjects:,}"),
            number(f"{line.median.value:g} ({line.median.low:g}-{line.median.high:g})"),
            number(str(line.mean)),
            *(number(f"{count:,}") for count in line.most.values()),
            number(str(line.never)),
        )
        for line in report.reauthentications
    ]
    head = ["subjects by most history", "#subjects", "#median", "#mean", "#90th", "#99th percentile", "#never"]
    return section("Re-authentications per subject", "Step-ups and denials of one honest subject.", table(head, rows))


def _fairness(report: Evaluated) -> str:
    figures = []
    for dimension, found in report.groups.items():
        shown = [group for group in found if group.honest.total][:SHOWN_GROUPS]
        if shown:
            rows = [(group.name, group.honest, _MARK[group.burden]) for group in shown]
            drawn = chart.shares(rows, f"honest attempts stopped by {dimension}", report.operating_point["honest"])
            figures.append(figure(f"Honest attempts stopped, by {dimension}", drawn))
    attacked = [
        row(
            cell(f"{dimension}: {escape(group.name)}"),
            *map(_counted, (group.honest, group.attacks)),
            _who(group),
        )
        for dimension, found in report.groups.items()
        for group in found[:SHOWN_GROUPS]
    ]
    said = (
        "The dashed line is the share of all. Red is a group that is stopped more often than all others together, "
        "green less often, where the difference leaves out chance (95 %, over subjects); of twenty groups one does so "
        "by chance."
    )
    head = ["group", "#honest stopped", "#attacks stopped", "burden"]
    return section("Groups and fairness", said, pair(*figures), table(head, attacked))


_MARK = {"more": "high", "less": "low", "even": "now"}


def _counted(share: Share) -> str:
    return number(str(share) if share.total else "")


def _who(group: Group) -> str:
    way = {"more": "worse", "less": "better", "even": "soft"}[group.burden]
    return cell(f'<span class="{way}">{group.burden}</span>')


def _importance(report: Evaluated) -> str:
    title = "What features are worth"
    if not report.importance:
        return section(title, f"Not measured: {escape(report.importance_note)}.")
    most = max(1e-9, *(feature.auc_drop for feature in report.importance))
    rows = [
        row(
            cell(f"<code>{escape(feature.feature)}</code>"),
            number(f"{feature.auc_drop:+.4f} ± {feature.spread:.4f}"),
            number(f"{100 * feature.unknown:.0f} %"),
            cell(f'<span class="worth" style="width:{max(0.0, 100 * feature.auc_drop / most):.1f}%"></span>'),
        )
        for feature in report.importance[:SHOWN_FEATURES]
    ]
    said = (
        "By how much the ROC AUC of the anomaly falls when one feature's values are shuffled "
        f"({escape(report.importance_note)}). Features that say the same stand in for each other."
    )
    return section(title, said, table(["feature", "#AUC drop", "#unknown in", ""], rows, "causes"))


def _examples(title: str, said: str, examples: Sequence[Example], nothing: str) -> str:
    if not examples:
        return section(title, nothing)
    rows = [
        row(
            cell(f"<code>{escape(one.decision_id)}</code><br>{escape(one.kind.replace('_', ' '))}"),
            cell(escape(", ".join(filter(None, (one.action, one.country, one.device)))) + f"<br>{_when(one)}"),
            number(f"{one.score:g}" + ("" if one.anomaly is None else f"<br>{one.anomaly:.4f}")),
            cell(escape(why(one))),
            cell("".join(f'<span class="chip">{escape(name)} {added:+.2f}</span>' for name, added in one.odd)),
        )
        for one in examples
    ]
    head = ["decision", "attempt", "#score<br>anomaly", "what spoke against it", "odd to the model"]
    return section(title, said, table(head, rows, "examples"))


def _when(example: Example) -> str:
    return f'<span class="soft">{example.time:%Y-%m-%d %H:%M}</span>'


def _percent(share: Share) -> str:
    return f"{100 * share.value:.2f} %"
