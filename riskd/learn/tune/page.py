"""What tuning found, as one HTML page that needs nothing else."""

from collections.abc import Iterator
from html import escape

from riskd.learn.replay.markup import bear_in_mind, cell, document, figure, number, pair, row, section, table, tiles
from riskd.learn.tune.chart import by_threshold, friction_catch
from riskd.learn.tune.choose import Choice
from riskd.learn.tune.report import caught, days, grounds, moved, name, notes, of, promise, share
from riskd.learn.tune.tune import Tuned

_KEY = '<span class="legend"><span class="key then"></span>in force<span class="key now"></span>chosen</span>'
_DIFF_STYLE = "pre.diff{overflow-x:auto;background:var(--card);padding:13px 15px;border-radius:10px;font-size:13px}"


def page(tuned: Tuned, difference: str, policy: str) -> str:
    """Return the whole page; `difference` is the change of the policy file called `policy`."""
    return document(f"Thresholds for {policy}", _sections(tuned, difference), _DIFF_STYLE)


def _sections(tuned: Tuned, difference: str) -> Iterator[str]:
    yield f'<p class="soft">{escape(grounds(tuned))}</p><p class="lead">{escape(promise(tuned))}</p>'
    yield _tiles(tuned)
    yield section(
        "Thresholds", "Honest decisions stepped up or denied, and labelled attacks caught.", _thresholds(tuned)
    )
    yield section(
        "Friction and catch",
        "Each class at the lowest threshold that keeps to a share of honest decisions. Whiskers are 95 % intervals for "
        f"the next {days(tuned)}.",
        pair(
            figure(f"Attacks caught, by honest decisions stepped up {_KEY}", friction_catch(tuned)),
            figure("The same in numbers", _curve(tuned)),
        ),
    )
    if tuned.steps:
        charts = [
            figure(
                f"{escape(name(s.choice))}: {moved(s.choice.place.step_up, s.choice.step_up)} {_KEY}", by_threshold(s)
            )
            for s in tuned.steps
        ]
        said = "Share of honest decisions stepped up or denied, by step_up threshold; shaded is what floors force."
        yield section("By threshold", said, pair(*charts))
    said = "Nothing changes: the file says so already." if not difference else ""
    yield section("The change", said, _diff(difference))
    yield bear_in_mind(map(str, notes(tuned)))


def _tiles(tuned: Tuned) -> str:
    now, then = tuned.chosen.now, tuned.chosen.then
    found = (
        (
            f"{100 * then.troubled.share:.2f} %",
            f"of honest decisions stepped up or denied; {100 * now.troubled.share:.2f} % now",
        ),
        (f"{100 * then.troubled.low:.2f} to {100 * then.troubled.high:.2f} %", f"in the next {days(tuned)}, 95 %"),
        (
            of(then.caught.hits, then.caught.total),
            f"attacks caught; {of(now.caught.hits, now.caught.total)} now",
        ),
        (f"{then.troubled.total:,}", f"honest decisions of {then.troubled.subjects:,} subjects"),
    )
    return tiles(found)


def _thresholds(tuned: Tuned) -> str:
    head = [
        "action class",
        "#decisions",
        "#step_up",
        "#deny",
        "#now",
        "#expected (95 %)",
        "#by floors",
        "#attacks caught",
    ]
    return table(head, [_choice(choice) for choice in tuned.chosen.choices])


def _choice(choice: Choice) -> str:
    floored = sum(floored.share for floored in choice.floors)
    kind = "soft" if choice.kept else ""
    return row(
        cell(escape(name(choice)) + (" <span class='soft'>kept</span>" if choice.kept else "")),
        number(f"{choice.now.troubled.total:,}", kind),
        number(moved(choice.place.step_up, choice.step_up), kind),
        number(moved(choice.place.deny, choice.deny), kind),
        number(share(choice.now.troubled), kind),
        number(str(choice.then.troubled), kind),
        number(f"{100 * floored:.2f} %", kind),
        number(caught(choice.now, choice.then), kind),
    )


def _curve(tuned: Tuned) -> str:
    rows = [
        row(
            number(f"{100 * point.asked:g} %"),
            number(str(point.troubled)),
            number(of(point.caught.hits, point.caught.total)),
        )
        for point in tuned.points
    ]
    return table(["#at most", "#stepped up (95 %)", "#caught"], rows)


def _diff(difference: str) -> str:
    if not difference:
        return ""
    kinds = {"+": "better", "-": "worse"}
    lines = [
        f'<span class="{kinds[line[0]]}">{escape(line)}</span>' if line[:1] in kinds else escape(line)
        for line in difference.splitlines()
    ]
    return f'<pre class="diff">{chr(10).join(lines)}</pre>'
