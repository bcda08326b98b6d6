"""The store: counts an attempt and answers what is known, in one awaited step."""

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec
from hiredis import ReplyError
from msgspec.structs import replace

from riskd.errors import ConflictError, RequestError, RiskdError, StoreUnavailable
from riskd.features.velocity import Counts
from riskd.store import velocities
from riskd.store.attempt import MATURED, Attempt, Observation, Settlement
from riskd.store.breaker import Breaker
from riskd.store.connect import Target
from riskd.store.entries import Entries
from riskd.store.epoch import KEPT_S, RENEW_S, Epoch, fresh
from riskd.store.keys import ENTITIES, VELOCITIES, Keys
from riskd.store.link import Reply, packed
from riskd.store.route import route_to
from riskd.store.script import OBSERVE, SCRIPTS, SETTLE, Script

_T = TypeVar("_T")

OUTCOME_WINDOW_S: Final = 7 * 86400
"""How long an attempt waits for its outcome, unless the caller says otherwise."""
COUNTED, REPEATED, CONFLICT = range(3)
_OF_ONE_KEY: Final = ("WRONGTYPE", "ERR")
"""Errors that say something of one key only: they degrade this lookup and leave the breaker alone."""
_OF_THE_SERVER: Final = ("READONLY", "MASTERDOWN", "NOAUTH")
"""Errors after which another connection may find a better server."""


_Seen = tuple[Observation, bytes | None]
"""What is known, and the epoch of the history it comes from."""


class Settled(msgspec.Struct, frozen=True):
    """What became of a report."""

    status: Literal["accepted", "repeated"]
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
        self._budget_s = budget_s
        self._route = route_to(target, budget_s=budget_s, preload=tuple(script.load() for script in SCRIPTS))
        self._breaker = Breaker(self._probe)
        self.entries = Entries(self._run, self._send, self._keys)
        self._encode = msgspec.msgpack.Encoder().encode
        self._observation = msgspec.msgpack.Decoder(Observation).decode
        self._attempt = msgspec.msgpack.Decoder(Attempt).decode
        self._renew_at = 0.0
        self._aside: set[asyncio.Task[Any]] = set()

    @property
    def available(self) -> bool:
        """Whether the store answered lately: False while the breaker is open."""
        return not self._breaker.open

    def keep_to(self, budget_s: float) -> None:
        """Let every call that is made from now on end within another budget."""
        self._budget_s = budget_s
        self._route.keep_to(budget_s)

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
        if self._route.together:
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
            replies = await self._run_all(self._keys.epoch, OBSERVE, commands, budget_s)
        except StoreUnavailable as error:
            return [error] * len(attempts)
        found: list[_Seen | RiskdError] = []
        for reply in replies:
            try:
                found.append((self._read(_given(reply)), reply[1]))
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
        runs = (self._run(OBSERVE, keys, layout, packed, window_s, *told.get(layout[0], ())) for layout, keys in calls)
        replies = await self._all(runs, budget_s)
        parts = {layout[0]: (self._read(reply), reply) for (layout, _), reply in zip(calls, replies, strict=True)}
        # The whole request's own entry says which decision this is, whatever a lost race left at an entity.
        first, _ = parts.get("q") or parts["o"]
        if first.repeated and first.decision_id != attempt.decision_id:
            self._later(self._send(self._keys.pending(attempt.decision_id), "UNLINK"))
        history = parts["s"][0].history if "s" in parts else None
        payload = parts["p"][0].payload if "p" in parts else None
        if history is not None and payload is not None and payload.elsewhere:
            # The subject's node could not see the payload's answer.
            history = replace(history, replayed_age_s=0.0)
            if not first.repeated and attempt.subject is not None:
                subject = self._keys.entity("s", attempt.subject)
                self._later(self._send(subject, "HSET", "replayed", attempt.now))
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
        )
        return seen, parts["e"][1][1]

    def _read(self, reply: Reply) -> Observation:
        status, _, packed = reply
        if status == CONFLICT:
            raise ConflictError("this request_id was used with another body; use a new one for each attempt")
        try:
            seen = self._observation(packed)
        except msgspec.DecodeError as error:
            raise StoreUnavailable(f"the store holds what riskd did not write ({error})") from error
        return replace(seen, repeated=True) if status == REPEATED else seen

    async def settle(
        self, decision_id: str, settlement: Settlement, outcome_window_s: int = OUTCOME_WINDOW_S
    ) -> Settled:
        """Do what the outcome of a decision asks for; the same outcome again changes nothing for `outcome_window_s`.

        Raises RequestError with status 404 when no attempt of this decision waits for an outcome.
        """
        pending = self._keys.pending(decision_id)
        kept = await self._send(pending, "GET")
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
        reported = f"{pending}:r"
        if settlement.outcome == MATURED and await self._send(reported, "EXISTS"):
            return Settled("repeated", None)
        if self._route.together:
            layout = "r" + "".join(letter for letter, _ in entities)
            keys = [reported, *(key for _, key in entities)]
            status, token = await self._run(SETTLE, keys, layout, *arguments)
        else:
            # Entities first, each of which takes a decision once: a report that broke off halfway can be repeated.
            replies = await self._all(self._run(SETTLE, [key], letter, *arguments) for letter, key in entities)
            token = replies[0][1] if attempt.subject is not None else None
            status, _ = await self._run(SETTLE, [reported], "r", *arguments)
        return Settled("repeated" if status else "accepted", token.decode() if token else None)

    async def unsettle(self, decision_id: str, outcome: str) -> None:
        """Let an outcome be reported again, whose record was lost; what it taught is not taught twice.

        Raises StoreUnavailable.
        """
        await self._send(f"{self._keys.pending(decision_id)}:r", "SREM", outcome)

    async def forget(self, subject: str) -> str | None:
        """Delete all that is kept under a subject and return the token it had.

        What remains is its keyed hash among other entities' counters (up to 30 days), in attempts that wait for an
        outcome, and, on request ids, the answer kept for a repeat (24 hours).
        """
        keys = self._keys.subject(subject)
        token = await self._send(keys[0], "HGET", "token")
        counted = f"{keys[0]}{VELOCITIES}"
        sets = velocities.sets_of(await self._send(counted, "GET"))
        await self._send(keys[0], "UNLINK", *keys[1:], *[f"{counted}{name}" for name in sets])
        return token.decode() if token else None

    def disown(self, attempt: Attempt) -> None:
        """Forget an attempt's ids, beside the answer: nobody was told of it, and a repeat of it is a new one.

        What it counted stays counted.
        """
        keys = [self._keys.pending(attempt.decision_id)]
        if attempt.request_id is not None:
            keys.append(self._keys.entity("q", attempt.request_id))
        for key in keys:
            self._later(self._send(key, "UNLINK"))

    async def accept_loss(self, now: float) -> None:
        """Begin a new epoch that all processes adopt: what was lost is no fault any more."""
        epoch = fresh("accepted", now)
        await self._send(self._keys.epoch, "SET", epoch, "EX", KEPT_S)
        self._epoch.adopt(epoch)

    async def _lost(self, epoch: bytes | None, now: float) -> bool:
        verdict = self._epoch.judge(epoch)
        if verdict == "cold_start":
            # Of several processes that start on a new store one begins the epoch; all read back which one it is.
            await self._send(self._keys.epoch, "SET", fresh("cold", now), "EX", KEPT_S, "NX")
            verdict = self._epoch.judge(await self._send(self._keys.epoch, "GET"))
        return verdict == "lost"

    def _renew(self, now: float) -> None:
        self._renew_at = now + RENEW_S
        self._later(self._send(self._keys.epoch, "EXPIRE", KEPT_S))

    async def ping(self) -> bool:
        """Ask whether the store takes writes, and return whether its history is the one this installation knows."""
        await self._probe()
        (held,) = await self._ask(self._keys.epoch, packed("GET", self._keys.epoch))
        return self._epoch.judge(_given(held)) != "lost"

    async def _probe(self) -> None:
        await self._route.alive()
        _given(*await self._ask(self._keys.probe, packed("SET", self._keys.probe, 1, "PX", 1000)))

    async def close(self) -> None:
        """Finish what runs aside and drop the connections."""
        await self._breaker.close()
        if self._aside:
            await asyncio.wait(self._aside, timeout=self._budget_s)
        await self._route.close()

    async def _run(self, script: Script, keys: list[str], *arguments: str | bytes | int) -> Reply:
        (reply,) = await self._run_all(keys[0], script, [script.call(keys, *arguments)])
        return _given(reply)

    async def _run_all(
        self, key: str, script: Script, commands: Sequence[bytes], budget_s: float | None = None
    ) -> list[Reply]:
        """Run a script several times; what the server did not hold is loaded and run again."""
        replies = await self._guarded(key, *commands, budget_s=budget_s)
        missing = [i for i, reply in enumerate(replies) if type(reply) is _ScriptMissing]
        if missing:
            again = await self._guarded(key, script.load(), *[commands[i] for i in missing], budget_s=budget_s)
            for i, reply in zip(missing, again[1:], strict=True):
                replies[i] = reply
        return replies

    async def _send(self, key: str, name: str, *arguments: str | bytes | float) -> Reply:
        return _given(*await self._guarded(key, packed(name, key, *arguments)))

    async def _guarded(self, key: str, *commands: bytes, budget_s: float | None = None) -> list[Reply]:
        """Ask through the breaker."""
        if self._breaker.open:
            raise StoreUnavailable("the store is down; waiting for it to come back")
        try:
            replies = await self._ask(key, *commands, budget_s=budget_s)
        except StoreUnavailable:
            self._breaker.failed()
            raise
        refused = [reply for reply in replies if type(reply) is _Refused]
        if any(not reply.of_one_key for reply in refused):
            self._breaker.failed()
        else:
            self._breaker.succeeded()
        return replies

    async def _ask(self, key: str, *commands: bytes, budget_s: float | None = None) -> list[Reply]:
        """Return the replies; an error that the server answered with stands in place of its reply."""
        replies = await self._route.call(key, *commands, budget_s=budget_s)
        return [self._refusal(key, str(reply)) if type(reply) is ReplyError else reply for reply in replies]

    def _refusal(self, key: str, text: str) -> StoreUnavailable:
        if text.startswith("NOSCRIPT"):
            return _ScriptMissing("the server does not keep scripts")
        if text.startswith(_OF_THE_SERVER):
            self._route.drop(key, "the store changed its part")
        return _Refused(text)

    async def _all(self, calls: Iterable[Awaitable[Reply]], budget_s: float | None = None) -> list[Reply]:
        try:
            async with asyncio.timeout(self._budget_s if budget_s is None else budget_s):
                return await asyncio.gather(*calls)
        except TimeoutError as error:
            self._breaker.failed()
            raise StoreUnavailable("the store did not answer in time") from error

    def _later(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run something that the answer need not wait for and may do without."""

        async def quietly() -> None:
            try:
                await work
            except StoreUnavailable:
                return

        task = asyncio.get_running_loop().create_task(quietly(), name="store-aside")
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)


class _Refused(StoreUnavailable):
    """The server answered with an error."""

    def __init__(self, text: str) -> None:
        self.of_one_key = text.startswith(_OF_ONE_KEY)
        super().__init__(f"the store refuses: {text[:200]}")


class _ScriptMissing(StoreUnavailable):
    """The server does not hold the script (any more)."""


def _given(reply: Reply) -> Reply:
    """Return a reply, or raise the error that stands in its place."""
    if isinstance(reply, StoreUnavailable):
        raise reply
    return reply


async def _caught(work: Awaitable[_T]) -> _T | RiskdError:
    """Return what the work returns, or the error it raises."""
    try:
        return await work
    except RiskdError as error:
        return error
