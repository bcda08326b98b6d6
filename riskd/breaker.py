"""The way back from a bad signal: one that would stop too many established subjects loses the power to deny.

Only signals of the policy's own have it. What their hits force counts, and what their failures force through the fail
mode: under `fail_mode: deny` a signal that always fails locks everybody out as surely as one that always hits.

What is counted is distinct subjects, not attempts, and only established ones: confirmed for a while, and here from a
device or an address that was theirs before. An attacker who floods the service, with accounts that he makes up or with
other people's names, is counted nowhere, and so switches nothing off.

Each worker counts for itself, without a question to the store: it sees its share of the subjects, drawn by chance, and
comes to the same share of them. Workers differ by seconds, and one that gets few requests may not trip at all; every
record names what had tripped (`facts.tripped`), so it is judged again exactly. A restart forgets the counts.

Memory is bounded: per class of actions a sample of at most `MOST` subjects, drawn by the hash of their random token.
"""

from collections.abc import Iterable, Mapping
from typing import Final
from zlib import crc32

import structlog

from riskd.evaluation import Evaluation
from riskd.facts import Facts
from riskd.metrics import Metrics
from riskd.policy import Policy

MOST: Final = 1024
"""Subjects in a sample: a share of 20 % is then told to ±2.5 points, at 95 %."""
LOOK_S: Final = 1.0
"""How often the shares are looked at."""
_ALL: Final = 2**32

log = structlog.stdlib.get_logger("riskd.breaker")


class _Sample:
    """Established subjects of one class of actions within the window."""

    __slots__ = ("below", "forced", "seen")

    def __init__(self) -> None:
        self.below = _ALL
        """Subjects whose hash is below it are in the sample."""
        self.seen: dict[int, float] = {}
        """Hash of the subject → when it was seen last."""
        self.forced: dict[str, dict[int, float]] = {}
        """Code → the same, where the signal's hit or failure forced the outcome."""

    def add(self, subject: int, codes: Iterable[str], now_s: float) -> None:
        if subject >= self.below:
            return
        self.seen[subject] = now_s
        for code in codes:
            self.forced.setdefault(code, {})[subject] = now_s
        if len(self.seen) > MOST:
            self.below //= 2
            self._keep(0.0)

    def forget(self, before_s: float, codes: Mapping[str, str]) -> None:
        """Forget what is older than the window, and signals that there are no more."""
        self.forced = {code: subjects for code, subjects in self.forced.items() if code in codes}
        self._keep(before_s)
        if len(self.seen) < MOST // 4:
            self.below = min(_ALL, 2 * self.below)

    def _keep(self, from_s: float) -> None:
        self.seen = {h: at for h, at in self.seen.items() if h < self.below and at >= from_s}
        for code, subjects in self.forced.items():
            self.forced[code] = {h: at for h, at in subjects.items() if h < self.below and at >= from_s}


class Breaker:
    """What one policy's signals did to established subjects lately, in this worker."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._declared: Mapping[str, str] = {}
        self._classes: dict[str, tuple[str, ...]] = {}
        """Code → classes of actions that the signal is for; empty for all."""
        self._samples: dict[str, _Sample] = {}
        self._until: dict[str, float] = {}
        """Code of each tripped signal → when it recovers, unless its share is still too large."""
        self._looked_s = 0.0
        self.tripped: tuple[str, ...] = ()
        """Codes of the signals that have lost the power to deny."""

    def follow(self, policy: Policy) -> None:
        """Watch over a policy's signals from now on; one that is declared as before keeps its counts."""
        file = policy.file
        self._drop([code for code, said in self._declared.items() if policy.breakable.get(code) != said])
        self._declared = policy.breakable
        rules = file.breaker
        self._share, self._least = rules.share / 100, rules.subjects
        self._window_s, self._known_s = rules.window.total_seconds(), rules.known_for.total_seconds()
        self._classes = {rule.code: rule.actions for rule in file.custom_signals}
        self._classes.update((rule.code, rule.actions) for rule in file.velocities)
        self.tripped = tuple(sorted(self._until))

    def rest(self) -> None:
        """Watch over nothing until the next `follow`: the policy is not in use any more."""
        self._drop(list(self._declared))
        self._declared, self.tripped = {}, ()

    def _drop(self, codes: list[str]) -> None:
        for code in codes:
            for sample in self._samples.values():
                sample.forced.pop(code, None)
            if self._until.pop(code, None) is not None:
                self._metrics.breaker_tripped.at(code).inc(-1)

    def count(self, facts: Facts, evaluation: Evaluation, now_s: float) -> None:
        """Count a judged attempt, if an established subject makes it."""
        history = facts.history
        if not self._declared or history is None:
            return
        age_s = history.first_confirmed_age_s
        if age_s is None or age_s < self._known_s or (history.device_age_s is None and history.ip_age_s is None):
            return
        kind = evaluation.plan.action
        sample = self._samples.get(kind)
        if sample is None:
            sample = self._samples[kind] = _Sample()
        sample.add(crc32(history.token.encode()), evaluation.forcing, now_s)

    def look(self, now_s: float) -> tuple[str, ...]:
        """Return the tripped signals as of now; the shares are looked at once a second."""
        if self._declared and not 0 <= now_s - self._looked_s < LOOK_S:
            self._looked_s = now_s
            self._look(now_s)
        return self.tripped

    def _look(self, now_s: float) -> None:
        for sample in self._samples.values():
            sample.forget(now_s - self._window_s, self._declared)
        forced = {code for sample in self._samples.values() for code, subjects in sample.forced.items() if subjects}
        for code in forced:
            stopped, seen = self._shares(code)
            if seen >= self._least and stopped >= self._share * seen:
                if code not in self._until:
                    self._metrics.breaker_trips.at(code).inc()
                    self._metrics.breaker_tripped.at(code).inc()
                    log.error(
                        "signal_tripped", code=code, stopped=stopped, subjects=seen, consequence="steps up at most"
                    )
                self._until[code] = now_s + self._window_s
        for code in [code for code, until in self._until.items() if until <= now_s]:
            del self._until[code]
            self._metrics.breaker_tripped.at(code).inc(-1)
            log.warning("signal_recovered", code=code)
        self.tripped = tuple(sorted(self._until))

    def _shares(self, code: str) -> tuple[int, int]:
        """Return how many subjects a signal stopped, of how many that it was asked about."""
        classes = self._classes[code]
        samples = [sample for kind, sample in self._samples.items() if not classes or kind in classes]
        below = min(sample.below for sample in samples)
        seen = {h for sample in samples for h in sample.seen if h < below}
        stopped = {h for sample in samples for h in sample.forced.get(code, ()) if h < below}
        return len(stopped), len(seen)


__all__ = ["LOOK_S", "MOST", "Breaker"]
