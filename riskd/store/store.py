"""The store: counts an attempt and answers what is known, in one awaited step."""

import asyncio
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec
from msgspec.structs import replace

from riskd.errors import ConflictError, RequestError, RiskdError, StoreUnavailable
from riskd.features.velocity import Counts
from riskd.store import velocities
from riskd.store.attempt import MATURED, Attempt, Observation, Settlement
from riskd.store.connect import Target
from riskd.store.entries import Entries
from riskd.store.epoch import KEPT_S, RENEW_S, Epoch, fresh
from riskd.store.gate import Gate, given
from riskd.store.keys import ENTITIES, VELOCITIES, Keys
from riskd.store.link import Reply, packed
from riskd.store.script import OBSERVE, SETTLE

_T = TypeVar("_T")

OUTCOME_WINDOW_S: Final = 7 * 86400
"""How long an attempt waits for its outcome, unless the caller says otherwise."""
REPEATABLE_S: Final = 86400
"""How long a request's id is known for a repeat, as in the script."""
COUNTED, REPEATED, CONFLICT, TOOK_PLACE = range(4)

_Seen = tuple[Observation, bytes | None]
"""What is known, and the epoch of the history it comes from."""


class Settled(msgspec.Struct, frozen=True):
    """What became of a report."""

    status: Literal["accepted", "repeated"]
    decision_id: str
    """By which the attempt is known: that of the first of all decisions on its request."""
    token: str | None
    """Token of the subject; None for an anonymous or forgotten one."""


class Store:
    """History and counters over the Redis protocol.

    Every call ends within `budget_s` with an answer or StoreUnavailable; nothing is tried again, since the caller
    has a deadline of its own.
    """

    def __init__(
        self,
        target: Target,
        marker: Path,
        *,
        budget_s: float = 0.05,
        prefix: str = "riskd",
    ) -> None:
        self._keys = Keys(prefix)
        self._epoch = Epoch(marker)
        self._gate = Gate(target, budget_s=budget_s, probe_key=self._keys.probe)
        self.entries = Entries(self._gate.run, self._gate.send, self._keys)
        self._encode = msgspec.msgpack.Encoder().encode
        self._observation = msgspec.msgpack.Decoder(Observation).decode
        self._attempt = msgspec.msgpack.Decoder(Attempt).decode
        self._renew_at = 0.0

    @property
    def available(self) -> bool:
        """Whether the store answered lately: False while the breaker is open."""
        return not self._gate.shut

    def keep_to(self, budget_s: float) -> None:
        """Let every call that is made from now on end within another budget."""
        self._gate.keep_to(budget_s)

    async def observe(self, attempt: Attempt, counts: Counts | None = None) -> Observation:
        """Count the attempt and return what is known of its entities; raises what `observe_all` would put in place."""
        (seen,) = await self.observe_all([attempt], counts=[counts])
        if isinstance(seen, RiskdError):
            raise seen
        return seen

    async def observe_all(
        self,
        attempts: Sequence[Attempt],
        budget_s: float | None = None,
        outcome_window_s: int = OUTCOME_WINDOW_S,
        counts: Sequence[Counts | None] = (),
    ) -> list[Observation | RiskdError]:
        """Count attempts one after the other, in one round trip, and return what is known of each one's entities.

        A request id seen before within 24 hours returns the first's observation and counts nothing. In place of an
        observation stands a ConflictError when that had another digest, a StoreUnavailable when there was no answer
        within the budget (`budget_s` in place of the store's own). The attempts wait `outcome_window_s` for their
        outcomes. `counts` says what the policy's velocities count of each attempt; empty when there are none.
        """
        counts = counts or (None,) * len(attempts)
        found: list[_Seen | RiskdError]
        if self._gate.together:
            found = await self._observe_together(attempts, counts, budget_s, outcome_window_s)
        else:
            apart = [
                _caught(self._observe_apart(attempt, count, budget_s, outcome_window_s))
                for attempt, count in zip(attempts, counts, strict=True)
            ]
            found = await asyncio.gather(*apart)
        lost: dict[bytes | None, bool] = {}
        return [
            one if isinstance(one, RiskdError) else await self._marked(*one, attempt.now, lost)
            for attempt, one in zip(attempts, found, strict=True)
        ]

    async def _observe_together(
        self, attempts: Sequence[Attempt], counts: Sequence[Counts | None], budget_s: float | None, window_s: int
    ) -> list[_Seen | RiskdError]:
        commands = []
        for attempt, count in zip(attempts, counts, strict=True):
            layout, keys = self._keys.together(attempt)
            told: tuple[bytes, ...] = ()
            if count is not None:
                letters, names, told = velocities.together(count, self._keys)
                layout += letters
                keys += names
            commands.append(OBSERVE.call(keys, layout, self._encode(attempt), window_s, *told))
        try:
            replies = await self._gate.run_all(self._keys.epoch, OBSERVE, commands, budget_s)
        except StoreUnavailable as error:
            return [error] * len(attempts)
        found: list[_Seen | RiskdError] = []
        for reply in replies:
            try:
                found.append((self._read(given(reply)), reply[1]))
            except RiskdError as error:
                found.append(error)
        return found

    async def _marked(
        self, seen: Observation, epoch: bytes | None, now: float, lost: dict[bytes | None, bool]
    ) -> Observation | RiskdError:
        """Mark what comes from another history than this installation knew; `lost` keeps the verdict on each epoch."""
        if epoch is not None and epoch == self._epoch.held:
            if now >= self._renew_at:
                self._renew(now)
            return seen
        if epoch not in lost:
            try:
                lost[epoch] = await self._lost(epoch, now)
            except StoreUnavailable as error:
                return error
        return replace(seen, history_lost=True) if lost[epoch] else seen

    async def _observe_apart(
        self, attempt: Attempt, counts: Counts | None, budget_s: float | None, window_s: int
    ) -> _Seen:
        beside, told = ([], {}) if counts is None else velocities.apart(counts, self._keys)
        calls = self._keys.apart(attempt, beside)
        packed = self._encode(attempt)
        waits = packed
        if attempt.instead is not None:  # what is reported of either teaches once, as the script says
            waits = await self._gate.send(self._keys.pending(attempt.instead), "GET") or packed
        runs = (
            self._gate.run(
                OBSERVE, keys, layout, waits if layout == "o" else packed, window_s, *told.get(layout[0], ())
            )
            for layout, keys in calls
        )
        replies = await self._gate.all(runs, budget_s)
        try:
            parts = {layout[0]: (self._read(reply), reply) for (layout, _), reply in zip(calls, replies, strict=True)}
        except ConflictError:
            self._gate.later(self._gate.send(self._keys.pending(attempt.decision_id), "UNLINK"))
            raise
        # The whole request's own entry says which decision this is, whatever a lost race left at an entity.
        first, _ = parts.get("q") or parts["o"]
        if first.repeated and first.decision_id != attempt.decision_id:
            self._gate.later(self._gate.send(self._keys.pending(attempt.decision_id), "UNLINK"))
        history = parts["s"][0].history if "s" in parts else None
        payload = parts["p"][0].payload if "p" in parts else None
        if history is not None and payload is not None and payload.elsewhere:
            # The subject's node could not see the payload's answer.
            history = replace(history, replayed_age_s=0.0)
            if not first.repeated and attempt.subject is not None:
                subject = self._keys.entity("s", attempt.subject)
                self._gate.later(self._gate.send(subject, "HSET", "replayed", attempt.now))
        seen = Observation(
            decision_id=first.decision_id,
            time=first.time,
            history=history,
            address_counts=parts["i"][0].address_counts if "i" in parts else None,
            network_counts=parts["n"][0].network_counts if "n" in parts else None,
            device_counts=parts["d"][0].device_counts if "d" in parts else None,
            payload=payload,
            velocities=velocities.joined(counts, [part.velocities for part, _ in parts.values()]),
            repeated=first.repeated,
            answered=first.answered,
            took_place=first.took_place,
        )
        return seen, parts["e"][1][1]

    def _read(self, reply: Reply) -> Observation:
        status, packed = reply[0], reply[2]
        if status == CONFLICT:
            raise ConflictError("this request_id was used with another body; use a new one for each attempt")
        try:
            seen = self._observation(packed)
        except msgspec.DecodeError as error:
            raise StoreUnavailable(f"the store holds what riskd did not write ({error})") from error
        if status == TOOK_PLACE:
            return replace(seen, took_place=True)
        if status != REPEATED:
            return seen
        return replace(seen, repeated=True, answered=None if reply[3] is None else reply[3].decode(errors="replace"))

    async def settle(
        self, decision_id: str, settlement: Settlement, outcome_window_s: int = OUTCOME_WINDOW_S
    ) -> Settled:
        """Do what the outcome of a decision asks for; the same outcome again changes nothing for `outcome_window_s`.

        That holds of all decisions on one request: a decision that took another's place is of the same attempt.
        Raises RequestError with status 404 when no attempt of this decision waits for an outcome.
        """
        kept = await self._gate.send(self._keys.pending(decision_id), "GET")
        if kept is None:
            raise RequestError("no decision of this id waits for an outcome: unknown or too old", status=404)
        try:
            attempt = self._attempt(kept)
        except msgspec.DecodeError as error:
            raise StoreUnavailable(f"the store holds what riskd did not write ({error})") from error
        arguments = (kept, self._encode(settlement), outcome_window_s)
        entities = [
            (letter, self._keys.entity(letter, name))
            for letter, field in ENTITIES[:3]
            if (name := getattr(attempt, field)) is not None
        ]
        known_as = attempt.decision_id
        reported = f"{self._keys.pending(known_as)}:r"
        if settlement.outcome == MATURED and await self._gate.send(reported, "EXISTS"):
            return Settled("repeated", known_as, None)
        if self._gate.together:
            layout = "r" + "".join(letter for letter, _ in entities)
            keys = [reported, *(key for _, key in entities)]
            status, token = await self._gate.run(SETTLE, keys, layout, *arguments)
        else:
            # Entities first, each of which takes a decision once: a report that broke off halfway can be repeated.
            replies = await self._gate.all(
                self._gate.run(SETTLE, [key], letter, *arguments) for letter, key in entities
            )
            token = replies[0][1] if attempt.subject is not None else None
            status, _ = await self._gate.run(SETTLE, [reported], "r", *arguments)
        return Settled("repeated" if status else "accepted", known_as, token.decode() if token else None)

    async def unsettle(self, decision_id: str, outcome: str) -> None:
        """Let an outcome be reported again, whose record was lost; what it taught is not taught twice.

        `decision_id` is the one that `Settled` told. Raises StoreUnavailable.
        """
        await self._gate.send(f"{self._keys.pending(decision_id)}:r", "SREM", outcome)

    async def forget(self, subject: str) -> str | None:
        """Delete all that is kept under a subject and return the token it had.

        What remains is its keyed hash among other entities' counters (up to 30 days), in attempts that wait for an
        outcome, and, on request ids, the answer kept for a repeat (24 hours).
        """
        keys = self._keys.subject(subject)
        token = await self._gate.send(keys[0], "HGET", "token")
        counted = f"{keys[0]}{VELOCITIES}"
        sets = velocities.sets_of(await self._gate.send(counted, "GET"))
        await self._gate.send(keys[0], "UNLINK", *keys[1:], *[f"{counted}{name}" for name in sets])
        return token.decode() if token else None

    def disown(self, attempt: Attempt) -> None:
        """Forget, beside the answer, that an attempt waits for its outcome: its record is lost and nobody was told.

        What it counted stays counted, for the repeat that takes its place; and so does, where it took another's place
        itself, what was reported of that one.
        """
        if attempt.instead is None:
            self._gate.later(self._gate.send(self._keys.pending(attempt.decision_id), "UNLINK"))
        if attempt.request_id is not None:
            self.note_answered(attempt.request_id, attempt.decision_id, "")

    def release(self, decision_id: str) -> None:
        """Forget, beside the answer, that an attempt waits for its outcome: no other will come. What it taught stays.

        For histories that are played again: millions of attempts would wait for their outcome window to pass.
        """
        key = self._keys.pending(decision_id)
        self._gate.later(self._gate.send(key, "UNLINK", f"{key}:r"))

    def note_answered(self, request_id: str, decision_id: str, answer: str) -> None:
        """Note, beside the answer, that the decision on a request is recorded, and what it was. Nobody waits for it."""
        key = self._keys.answered(request_id, decision_id)
        self._gate.tell(key, packed("SET", key, answer, "EX", REPEATABLE_S))

    async def answered(self, request_id: str, decision_id: str) -> str | None:
        """Return what is noted of a request's answer; raises StoreUnavailable."""
        noted: bytes | None = await self._gate.send(self._keys.answered(request_id, decision_id), "GET")
        return None if noted is None else noted.decode(errors="replace")

    async def accept_loss(self, now: float) -> None:
        """Begin a new epoch that all processes adopt: what was lost is no fault any more."""
        epoch = fresh("accepted", now)
        await self._gate.send(self._keys.epoch, "SET", epoch, "EX", KEPT_S)
        self._epoch.adopt(epoch)

    async def _lost(self, epoch: bytes | None, now: float) -> bool:
        verdict = self._epoch.judge(epoch)
        if verdict == "cold_start":
            # Of several processes that start on a new store one begins the epoch; all read back which one it is.
            await self._gate.send(self._keys.epoch, "SET", fresh("cold", now), "EX", KEPT_S, "NX")
            verdict = self._epoch.judge(await self._gate.send(self._keys.epoch, "GET"))
        return verdict == "lost"

    def _renew(self, now: float) -> None:
        self._renew_at = now + RENEW_S
        self._gate.later(self._gate.send(self._keys.epoch, "EXPIRE", KEPT_S))

    async def ping(self) -> bool:
        """Ask whether the store takes writes, and return whether its history is the one this installation knows."""
        await self._gate.probe()
        (held,) = await self._gate.ask(self._keys.epoch, packed("GET", self._keys.epoch))
        return self._epoch.judge(given(held)) != "lost"

    async def close(self) -> None:
        """Finish what runs aside and drop the connections."""
        await self._gate.close()


async def _caught(work: Awaitable[_T]) -> _T | RiskdError:
    """Return what the work returns, or the error it raises."""
    try:
        return await work
    except RiskdError as error:
        return error
