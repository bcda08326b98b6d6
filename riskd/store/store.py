"""The store: counts an attempt and answers what is known, in one awaited step."""

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from hiredis import ReplyError
from msgspec.structs import replace

from riskd.errors import ConflictError, RequestError, StoreUnavailable
from riskd.store.attempt import MATURED, Attempt, Observation, Settlement
from riskd.store.breaker import Breaker
from riskd.store.connect import Target
from riskd.store.epoch import KEPT_S, RENEW_S, Epoch, fresh
from riskd.store.keys import ENTITIES, Keys
from riskd.store.link import Reply, packed
from riskd.store.route import route_to
from riskd.store.script import OBSERVE, SCRIPTS, SETTLE, Script

COUNTED, REPEATED, CONFLICT = range(3)
_OF_ONE_KEY: Final = ("WRONGTYPE", "ERR")
"""Errors that say something of one key only: they degrade this lookup and leave the breaker alone."""
_OF_THE_SERVER: Final = ("READONLY", "MASTERDOWN", "NOAUTH")
"""Errors after which another connection may find a better server."""


class Settled(msgspec.Struct, frozen=True):
    """What became of a report."""

    status: Literal["accepted", "repeated"]
    token: str | None
    """Token of the subject; None for an anonymous or forgotten one."""


class Store:
    """History and counters over the Redis protocol.

    Every call ends within `budget_s` with an answer or StoreUnavailable; nothing is tried again, since the caller
    has a deadline of its own. `outcome_window_s` is how long an attempt waits for its outcome.
    """

    def __init__(
        self,
        target: Target,
        marker: Path,
        *,
        budget_s: float = 0.05,
        outcome_window_s: int = 7 * 86400,
        prefix: str = "riskd",
    ) -> None:
        self._keys = Keys(prefix)
        self._epoch = Epoch(marker)
        self._budget_s = budget_s
        self._window_s = outcome_window_s
        self._route = route_to(target, budget_s=budget_s, preload=tuple(script.load() for script in SCRIPTS))
        self._breaker = Breaker(self._probe)
        self._encode = msgspec.msgpack.Encoder().encode
        self._observation = msgspec.msgpack.Decoder(Observation).decode
        self._attempt = msgspec.msgpack.Decoder(Attempt).decode
        self._renew_at = 0.0
        self._aside: set[asyncio.Task[Any]] = set()

    @property
    def available(self) -> bool:
        """Whether the store answered lately: False while the breaker is open."""
        return not self._breaker.open

    async def observe(self, attempt: Attempt) -> Observation:
        """Count the attempt and return what is known of its entities.

        A request id seen before within 24 hours returns the first's observation and counts nothing. Raises
        ConflictError when that had another digest, StoreUnavailable within the budget.
        """
        if self._route.together:
            layout, keys = self._keys.together(attempt)
            reply = await self._run(OBSERVE, keys, layout, self._encode(attempt), self._window_s)
            seen, epoch = self._read(reply), reply[1]
        else:
            seen, epoch = await self._observe_apart(attempt)
        if epoch != self._epoch.held or epoch is None:
            lost = await self._lost(epoch, attempt.now)
        else:
            lost = False
            if attempt.now >= self._renew_at:
                self._renew(attempt.now)
        return replace(seen, history_lost=True) if lost else seen

    async def _observe_apart(self, attempt: Attempt) -> tuple[Observation, bytes | None]:
        calls = self._keys.apart(attempt)
        packed = self._encode(attempt)
        replies = await self._all(self._run(OBSERVE, keys, layout, packed, self._window_s) for layout, keys in calls)
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

    async def settle(self, decision_id: str, settlement: Settlement) -> Settled:
        """Do what the outcome of a decision asks for; the same outcome again changes nothing.

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
        arguments = (kept, self._encode(settlement), self._window_s)
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

    async def forget(self, subject: str) -> str | None:
        """Delete all that is kept under a subject and return the token it had.

        What remains is its keyed hash among other entities' counters (up to 30 days), in attempts that wait for an
        outcome, and, on request ids, the answer kept for a repeat (24 hours).
        """
        keys = self._keys.subject(subject)
        token = await self._send(keys[0], "HGET", "token")
        await self._send(keys[0], "UNLINK", *keys[1:])
        return token.decode() if token else None

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
        return self._epoch.judge(await self._call(self._keys.epoch, packed("GET", self._keys.epoch))) != "lost"

    async def _probe(self) -> None:
        await self._route.alive()
        await self._call(self._keys.probe, packed("SET", self._keys.probe, 1, "PX", 1000))

    async def close(self) -> None:
        """Finish what runs aside and drop the connections."""
        await self._breaker.close()
        if self._aside:
            await asyncio.wait(self._aside, timeout=self._budget_s)
        await self._route.close()

    async def _run(self, script: Script, keys: list[str], *arguments: str | bytes | int) -> Reply:
        command = script.call(keys, *arguments)
        try:
            return await self._guarded(keys[0], command)
        except _ScriptMissing:
            _, reply = await asyncio.gather(self._guarded(keys[0], script.load()), self._guarded(keys[0], command))
            return reply

    async def _send(self, key: str, name: str, *arguments: str | bytes | float) -> Reply:
        return await self._guarded(key, packed(name, key, *arguments))

    async def _guarded(self, key: str, command: bytes) -> Reply:
        """Call through the breaker."""
        if self._breaker.open:
            raise StoreUnavailable("the store is down; waiting for it to come back")
        try:
            reply = await self._call(key, command)
        except _ScriptMissing:
            raise
        except _Refused as error:
            if not error.of_one_key:
                self._breaker.failed()
            raise
        except StoreUnavailable:
            self._breaker.failed()
            raise
        self._breaker.succeeded()
        return reply

    async def _call(self, key: str, command: bytes) -> Reply:
        reply = await self._route.call(key, command)
        if type(reply) is ReplyError:
            text = str(reply)
            if text.startswith("NOSCRIPT"):
                raise _ScriptMissing
            if text.startswith(_OF_THE_SERVER):
                self._route.drop(key, "the store changed its part")
            raise _Refused(text)
        return reply

    async def _all(self, calls: Iterable[Awaitable[Reply]]) -> list[Reply]:
        try:
            async with asyncio.timeout(self._budget_s):
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
