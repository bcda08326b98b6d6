"""The way to the server: through the breaker, with scripts loaded where they are missing and refusals told apart."""

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable, Sequence
from typing import Any, Final

from hiredis import ReplyError

from riskd.errors import StoreUnavailable
from riskd.store.breaker import Breaker
from riskd.store.connect import Target
from riskd.store.link import Reply, packed
from riskd.store.route import route_to
from riskd.store.script import SCRIPTS, Script

_OF_ONE_KEY: Final = ("WRONGTYPE", "ERR")
"""Errors that say something of one key only: they degrade this lookup and leave the breaker alone."""
_OF_THE_SERVER: Final = ("READONLY", "MASTERDOWN", "NOAUTH")
"""Errors after which another connection may find a better server."""


class Gate:
    """Every call ends within the budget with a reply or StoreUnavailable; the breaker counts both."""

    def __init__(self, target: Target, *, budget_s: float, probe_key: str) -> None:
        """A write to `probe_key` tells whether the server is back."""
        self._budget_s = budget_s
        self._probe_key = probe_key
        self.route = route_to(target, budget_s=budget_s, preload=tuple(script.load() for script in SCRIPTS))
        self._breaker = Breaker(self.probe)
        self.aside: set[asyncio.Task[Any]] = set()
        """What runs beside the answers."""

    @property
    def shut(self) -> bool:
        """Whether calls fail at once, since the server did not answer lately."""
        return self._breaker.open

    @property
    def together(self) -> bool:
        """Whether all keys live on one server."""
        return self.route.together

    def keep_to(self, budget_s: float) -> None:
        """Let every call that is made from now on end within another budget."""
        self._budget_s = budget_s
        self.route.keep_to(budget_s)

    async def probe(self) -> None:
        """Raise StoreUnavailable unless every server answers and takes writes."""
        await self.route.alive()
        given(*await self.ask(self._probe_key, packed("SET", self._probe_key, 1, "PX", 1000)))

    async def close(self) -> None:
        """Finish what runs aside and drop the connections."""
        await self._breaker.close()
        if self.aside:
            await asyncio.wait(self.aside, timeout=self._budget_s)
        await self.route.close()

    def tell(self, key: str, command: bytes) -> None:
        """Send a command whose reply nobody waits for, once the server can take it."""
        self.route.tell(key, command)

    async def run(self, script: Script, keys: list[str], *arguments: str | bytes | int) -> Reply:
        """Run a script on keys, all of which live where the first does."""
        (reply,) = await self.run_all(keys[0], script, [script.call(keys, *arguments)])
        return given(reply)

    async def run_all(
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

    async def send(self, key: str, name: str, *arguments: str | bytes | float) -> Reply:
        """Send one command about a key."""
        return given(*await self._guarded(key, packed(name, key, *arguments)))

    async def _guarded(self, key: str, *commands: bytes, budget_s: float | None = None) -> list[Reply]:
        """Ask through the breaker."""
        if self._breaker.open:
            raise StoreUnavailable("the store is down; waiting for it to come back")
        try:
            replies = await self.ask(key, *commands, budget_s=budget_s)
        except StoreUnavailable:
            self._breaker.failed()
            raise
        refused = [reply for reply in replies if type(reply) is _Refused]
        if any(not reply.of_one_key for reply in refused):
            self._breaker.failed()
        else:
            self._breaker.succeeded()
        return replies

    async def ask(self, key: str, *commands: bytes, budget_s: float | None = None) -> list[Reply]:
        """Return the replies; an error that the server answered with stands in place of its reply."""
        replies = await self.route.call(key, *commands, budget_s=budget_s)
        return [self._refusal(key, str(reply)) if type(reply) is ReplyError else reply for reply in replies]

    def _refusal(self, key: str, text: str) -> StoreUnavailable:
        if text.startswith("NOSCRIPT"):
            return _ScriptMissing("the server does not keep scripts")
        if text.startswith(_OF_THE_SERVER):
            self.route.drop(key, "the store changed its part")
        return _Refused(text)

    async def all(self, calls: Iterable[Awaitable[Reply]], budget_s: float | None = None) -> list[Reply]:
        """Make calls side by side, all of them within one budget."""
        try:
            async with asyncio.timeout(self._budget_s if budget_s is None else budget_s):
                return await asyncio.gather(*calls)
        except TimeoutError as error:
            self._breaker.failed()
            raise StoreUnavailable("the store did not answer in time") from error

    def later(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run something that the answer need not wait for and may do without."""

        async def quietly() -> None:
            try:
                await work
            except StoreUnavailable:
                return

        task = asyncio.get_running_loop().create_task(quietly(), name="store-aside")
        self.aside.add(task)
        task.add_done_callback(self.aside.discard)


class _Refused(StoreUnavailable):
    """The server answered with an error."""

    def __init__(self, text: str) -> None:
        self.of_one_key = text.startswith(_OF_ONE_KEY)
        super().__init__(f"the store refuses: {text[:200]}")


class _ScriptMissing(StoreUnavailable):
    """The server does not hold the script (any more)."""


def given(reply: Reply) -> Reply:
    """Return a reply, or raise the error that stands in its place."""
    if isinstance(reply, StoreUnavailable):
        raise reply
    return reply
