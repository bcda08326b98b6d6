"""One pipelined connection to one server.

Every caller of this process shares it: commands of one turn of the event loop leave in one write and replies come back
in order, so there is no pool to run out of, and the server sees one connection per worker however many callers wait.
Replies are due within the budget, the oldest first; when one is late the connection is dropped with all that wait on
it, so no later caller can read a reply that was meant for another.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from math import inf
from typing import Any, Final, cast

import hiredis
from msgspec import Struct

from riskd.errors import StoreUnavailable
from riskd.store.connect import Address, Credentials, Target

Reply = Any
"""What hiredis makes of a reply: int, bytes, list, None or `hiredis.ReplyError`."""
CONNECT_S = 0.7
"""How long the shared attempt to connect may take; callers leave it earlier, when their budget ends. With the pause
between two attempts, full service is back within a second after a store that swallowed everything."""


def packed(*words: str | bytes | float) -> bytes:
    """Return a command as bytes for the wire."""
    return cast("bytes", hiredis.pack_command(words))  # type: ignore[arg-type]  # its stub means tuples of one


TOLD_WITHIN_S = 0.005
"""How long what nobody waits for may wait for a write that it can leave in."""


UNTOLD: Final = 1000
"""Commands that nobody waits for and that are kept for the next connection; the latest ones."""


class _Due(Struct):
    """A caller who waits: for how many replies, until when, and those that are here."""

    future: asyncio.Future[list[Reply]] | None
    """None when nobody waits."""
    count: int
    deadline: float
    """Time of the loop's clock."""
    replies: list[Reply]
    told: Sequence[bytes] = ()
    """The commands, where nobody waits: they are sent again on the next connection when this one is lost."""


class _Wire(asyncio.Protocol):
    """The connection itself: bytes out, replies in, futures in between."""

    def __init__(self, budget_s: float, untold: deque[bytes]) -> None:
        """`untold` takes what nobody waits for and no reply came to."""
        self._untold = untold
        self._loop = asyncio.get_running_loop()
        self.budget_s = budget_s
        self._reader = hiredis.Reader()
        self._waiting: deque[_Due] = deque()
        self._outgoing: list[bytes] = []
        self._told: list[bytes] = []
        self._telling: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._expires = inf  # when the timer is due; uvloop's handle of one that is due at once does not say
        self._transport: asyncio.Transport | None = None
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, commands: Sequence[bytes], budget_s: float | None = None) -> asyncio.Future[list[Reply]]:
        """Send packed commands; the future is their replies, in order."""
        future: asyncio.Future[list[Reply]] = self._loop.create_future()
        if self.closed:
            future.set_exception(StoreUnavailable("the store closed the connection"))
            return future
        if not self._outgoing:
            self._loop.call_soon(self.flush)
        if self._told:
            self._add_told()
        self._outgoing += commands
        self._await(
            _Due(future, len(commands), self._loop.time() + (self.budget_s if budget_s is None else budget_s), [])
        )
        return future

    def tell(self, command: bytes) -> None:
        """Send a packed command whose reply nobody waits for, in front of the next that leave, or soon without any."""
        self._told.append(command)
        if self._telling is None:
            self._telling = self._loop.call_later(TOLD_WITHIN_S, self._tell_late)

    def _tell_late(self) -> None:
        self._telling = None
        self.flush()

    def _add_told(self) -> None:
        told, self._told = self._told, []
        self._await(_Due(None, len(told), self._loop.time() + self.budget_s, [], told))
        self._outgoing += told

    def _await(self, due: _Due) -> None:
        self._waiting.append(due)
        if due.deadline < self._expires:
            self._arm(due.deadline)

    def _arm(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._expires = deadline
        self._timer = self._loop.call_at(deadline, self._expire)

    def flush(self) -> None:
        """Write what is to leave."""
        if self._transport is not None and not self.closed:
            if self._told:
                self._add_told()
            if self._outgoing:
                self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()

    def _expire(self) -> None:
        self._timer, self._expires = None, inf
        if not self._waiting:
            return
        deadline = self._waiting[0].deadline
        if deadline <= self._loop.time():
            self.drop("the store did not answer in time")
        else:
            self._arm(deadline)

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not False:
                if not self._waiting:
                    self.drop("the store sent more than was asked")
                    return
                due = self._waiting[0]
                due.replies.append(reply)
                if len(due.replies) < due.count:
                    continue
                self._waiting.popleft()
                if due.future is not None and not due.future.done():  # a caller may have gone
                    due.future.set_result(due.replies)
        except hiredis.ProtocolError:
            self.drop("the store does not speak the Redis protocol")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        self.drop("the store closed the connection")

    def drop(self, why: str) -> None:
        """Close at once and fail whoever waits."""
        if self.closed:
            return
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        if self._telling is not None:
            self._telling.cancel()
        for due in self._waiting:
            self._untold += due.told
            if due.future is not None and not due.future.done():
                due.future.set_exception(StoreUnavailable(why))
        self._untold += self._told
        self._waiting.clear()


def _greeting(credentials: Credentials) -> list[bytes]:
    said = []
    if credentials.password is not None:
        login = (credentials.user, credentials.password) if credentials.user else (credentials.password,)
        said.append(packed("AUTH", *login))
    if credentials.db:
        said.append(packed("SELECT", credentials.db))
    return said


class Link:
    """Connects when first needed and again after a drop; asks `find` where, so that a failover is followed."""

    def __init__(
        self,
        find: Callable[[], Awaitable[Address]],
        target: Target,
        credentials: Credentials,
        *,
        budget_s: float,
        preload: tuple[bytes, ...] = (),
    ) -> None:
        self._find = find
        self._tls = target.tls
        self._greeting = _greeting(credentials)
        self._preload = preload
        self._budget_s = budget_s
        self._wire: _Wire | None = None
        self._untold: deque[bytes] = deque(maxlen=UNTOLD)
        self._connecting: asyncio.Task[_Wire] | None = None

    async def call(self, *commands: bytes, budget_s: float | None = None) -> list[Reply]:
        """Send packed commands and return their replies in order; raises StoreUnavailable within the budget."""
        budget_s = self._budget_s if budget_s is None else budget_s
        wire = self._wire
        if wire is not None and not wire.closed:
            return await wire.send(commands, budget_s)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + budget_s
        wire = await self._connected(budget_s)
        return await wire.send(commands, deadline - loop.time())

    def tell(self, command: bytes) -> None:
        """Send a command whose reply nobody waits for; without a connection it waits for the next one."""
        if self._wire is not None and not self._wire.closed:
            self._wire.tell(command)
        else:
            self._untold.append(command)

    async def _connected(self, budget_s: float) -> _Wire:
        task = self._connecting
        if task is None:
            task = self._connecting = asyncio.get_running_loop().create_task(self._connect(), name="store-connect")
            task.add_done_callback(self._connected_or_not)
        done, _ = await asyncio.wait((task,), timeout=budget_s)
        if not done:
            raise StoreUnavailable("connecting to the store takes too long")
        if task.cancelled():
            raise StoreUnavailable("the store is closed")
        if error := task.exception():
            raise StoreUnavailable(str(error)) from error
        return task.result()

    def _connected_or_not(self, task: asyncio.Task[_Wire]) -> None:
        self._connecting = None
        if not task.cancelled():
            task.exception()  # every caller may have left: read it here, so that nothing complains

    async def _connect(self) -> _Wire:
        try:
            async with asyncio.timeout(CONNECT_S):
                address = await self._find()
                wire = await self._open(address)
                try:
                    await self._greet(wire)
                except BaseException:
                    wire.drop("the greeting failed")
                    raise
        except (OSError, TimeoutError) as error:
            raise StoreUnavailable(f"cannot connect to the store ({error or 'time-out'})") from error
        self._wire = wire
        while self._untold:
            wire.tell(self._untold.popleft())
        return wire

    async def _open(self, address: Address) -> _Wire:
        loop = asyncio.get_running_loop()

        def make() -> _Wire:
            return _Wire(self._budget_s, self._untold)

        if address.port == 0:
            _, wire = await loop.create_unix_connection(make, address.host, ssl=self._tls)
        else:
            _, wire = await loop.create_connection(make, address.host, address.port, ssl=self._tls)
        return wire

    async def _greet(self, wire: _Wire) -> None:
        commands = (*self._greeting, *self._preload)
        for reply in await wire.send(commands, CONNECT_S) if commands else ():
            if isinstance(reply, hiredis.ReplyError):
                raise StoreUnavailable(f"the store refuses: {reply}")

    def keep_to(self, budget_s: float) -> None:
        """Take another budget for calls from now on; the connection stays."""
        self._budget_s = budget_s
        if self._wire is not None:
            self._wire.budget_s = budget_s

    def drop(self, why: str) -> None:
        """Drop the connection; the next call connects anew."""
        if self._wire is not None:
            self._wire.drop(why)
            self._wire = None

    async def close(self) -> None:
        """Send what is still to leave, drop the connection and stop connecting."""
        if self._wire is not None:
            self._wire.flush()
        self.drop("the store is closed")
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait((self._connecting,))
