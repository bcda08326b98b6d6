"""Which server a key lives on: one server, the master that sentinels name, or a node of a cluster."""

import asyncio
from binascii import crc_hqx
from typing import Final, Protocol

from hiredis import ReplyError

from riskd.errors import StoreUnavailable
from riskd.store.connect import Address, Target
from riskd.store.link import Link, Reply, packed

SLOTS: Final = 16384
_ASKING: Final = packed("ASKING")
_CLUSTER_SLOTS: Final = packed("CLUSTER", "SLOTS")
_PING: Final = packed("PING")


class Route(Protocol):
    """Takes a packed command to where its key lives."""

    together: bool
    """All keys live on one server, so one script reaches all."""

    async def call(self, key: str, *commands: bytes, budget_s: float | None = None) -> list[Reply]:
        """Send commands, all to where `key` lives, and return their replies in order.

        Raises StoreUnavailable within the budget. An error reply is returned, not raised.
        """

    def tell(self, key: str, command: bytes) -> None:
        """Send a command to where `key` lives, with the next that go there; nobody learns what becomes of it."""

    async def alive(self) -> None:
        """Raise StoreUnavailable unless every server answers."""

    def keep_to(self, budget_s: float) -> None:
        """Take another budget for calls from now on."""

    def drop(self, key: str, why: str) -> None:
        """Drop the connection to where the key lives: its server moved or changed its part."""

    async def close(self) -> None:
        """Drop all connections."""


class Single:
    """One server, or the master that the sentinels name now."""

    together = True

    def __init__(self, target: Target, *, budget_s: float, preload: tuple[bytes, ...]) -> None:
        self._target = target
        find = self._ask_sentinels if target.dialect == "sentinel" else self._the_address
        self._link = Link(find, target, target.credentials, budget_s=budget_s, preload=preload)

    async def _the_address(self) -> Address:
        return self._target.addresses[0]

    async def _ask_sentinels(self) -> Address:
        question = packed("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._target.service)
        for address in self._target.addresses:
            link = _link_to(address, self._target, budget_s=0.2, sentinel=True)
            try:
                (reply,) = await link.call(question)
            except StoreUnavailable:
                continue
            finally:
                await link.close()
            if isinstance(reply, list) and len(reply) == 2:
                return Address(reply[0].decode(), int(reply[1]))
        raise StoreUnavailable(f"no sentinel names a master of {self._target.service!r}")

    async def call(self, key: str, *commands: bytes, budget_s: float | None = None) -> list[Reply]:  # noqa: ARG002
        """Send the commands; all keys live here."""
        return await self._link.call(*commands, budget_s=budget_s)

    def tell(self, key: str, command: bytes) -> None:  # noqa: ARG002 - all keys live here
        """Send a command along with the next ones."""
        self._link.tell(command)

    async def alive(self) -> None:
        """Raise StoreUnavailable unless the server answers."""
        _refuse_error(*await self._link.call(_PING))

    def keep_to(self, budget_s: float) -> None:
        """Take another budget for calls from now on."""
        self._link.keep_to(budget_s)

    def drop(self, key: str, why: str) -> None:  # noqa: ARG002 - all keys live here
        """Drop the connection."""
        self._link.drop(why)

    async def close(self) -> None:
        """Drop the connection."""
        await self._link.close()


class Cluster:
    """A cluster: keeps the map of slots, follows redirections, and asks for the map anew when a node is lost."""

    together = False

    def __init__(self, target: Target, *, budget_s: float, preload: tuple[bytes, ...]) -> None:
        self._target = target
        self._budget_s = budget_s
        self._preload = preload
        self._links: dict[Address, Link] = {}
        self._slots: list[Address | None] = [None] * SLOTS
        self._stale = True
        self._refreshing: asyncio.Task[None] | None = None

    def _link(self, address: Address) -> Link:
        link = self._links.get(address)
        if link is None:
            link = _link_to(address, self._target, budget_s=self._budget_s, preload=self._preload)
            self._links[address] = link
        return link

    async def call(self, key: str, *commands: bytes, budget_s: float | None = None) -> list[Reply]:
        """Send the commands to the node of the key, following one redirection."""
        if self._stale:
            await self._refresh()
        address = self._slots[slot_of(key)]
        if address is None:
            self._stale = True
            raise StoreUnavailable("no node of the cluster serves this key")
        try:
            replies = await self._link(address).call(*commands, budget_s=budget_s)
        except StoreUnavailable:
            self._stale = True
            raise
        if type(replies[-1]) is not ReplyError:
            return replies
        kind, _, rest = str(replies[-1]).partition(" ")
        if kind not in {"MOVED", "ASK"}:
            return replies
        target = self._link(_redirection(rest, address))
        if kind == "MOVED":
            self._stale = True
            return await target.call(*commands, budget_s=budget_s)
        asking = [word for command in commands for word in (_ASKING, command)]
        return (await target.call(*asking, budget_s=budget_s))[1::2]

    def tell(self, key: str, command: bytes) -> None:
        """Send a command along with the next ones to the node of the key, if that is known."""
        address = self._slots[slot_of(key)]
        if address in self._links:
            self._links[address].tell(command)

    async def _refresh(self) -> None:
        if self._refreshing is None:
            self._refreshing = asyncio.get_running_loop().create_task(self._read_map(), name="store-cluster-map")
            self._refreshing.add_done_callback(self._refreshed)
        await asyncio.shield(self._refreshing)

    def _refreshed(self, task: asyncio.Task[None]) -> None:
        self._refreshing = None
        if not task.cancelled():
            task.exception()  # every caller may have left: read it here, so that nothing complains

    async def _read_map(self) -> None:
        for address in dict.fromkeys((*self._links, *self._target.addresses)):
            try:
                (reply,) = await self._link(address).call(_CLUSTER_SLOTS)
            except StoreUnavailable:
                continue
            if isinstance(reply, list) and reply:
                await self._take_map(reply, address)
                return
        raise StoreUnavailable("no node of the cluster knows its slots")

    async def _take_map(self, reply: list[Reply], asked: Address) -> None:
        slots: list[Address | None] = [None] * SLOTS
        for first, last, master, *_ in reply:
            host = master[0].decode() if master[0] else asked.host
            slots[first : last + 1] = [Address(host, master[1])] * (last + 1 - first)
        self._slots = slots
        self._stale = False
        serving = set(slots)
        for address in [held for held in self._links if held not in serving]:
            await self._links.pop(address).close()

    async def alive(self) -> None:
        """Raise StoreUnavailable unless every slot has a node and every node answers."""
        await self._refresh()
        if None in self._slots:
            raise StoreUnavailable("some slots of the cluster have no node")
        nodes = {address for address in self._slots if address is not None}
        for (reply,) in await asyncio.gather(*(self._link(address).call(_PING) for address in nodes)):
            _refuse_error(reply)

    def keep_to(self, budget_s: float) -> None:
        """Take another budget for calls from now on, at every node."""
        self._budget_s = budget_s
        for link in self._links.values():
            link.keep_to(budget_s)

    def drop(self, key: str, why: str) -> None:
        """Drop the connection to the node of the key and ask for the map anew."""
        self._stale = True
        address = self._slots[slot_of(key)]
        if address in self._links:
            self._links[address].drop(why)

    async def close(self) -> None:
        """Drop all connections."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.wait((self._refreshing,))
        for link in self._links.values():
            await link.close()


def _link_to(
    address: Address, target: Target, *, budget_s: float, preload: tuple[bytes, ...] = (), sentinel: bool = False
) -> Link:
    async def find() -> Address:
        return address

    credentials = target.sentinel_credentials if sentinel else target.credentials
    return Link(find, target, credentials, budget_s=budget_s, preload=preload)


def _redirection(rest: str, asked: Address) -> Address:
    host, _, port = rest.partition(" ")[2].rpartition(":")
    if not port.isdecimal():
        raise StoreUnavailable("the cluster redirects to nowhere")
    return Address(host or asked.host, int(port))


def _refuse_error(reply: Reply) -> None:
    if isinstance(reply, ReplyError):
        raise StoreUnavailable(f"the store refuses: {reply}")


def slot_of(key: str) -> int:
    """Return the cluster slot of a key: CRC16 (XMODEM) of its hash tag, or of all of it without one."""
    start = key.find("{")
    if start >= 0:
        end = key.find("}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc_hqx(key.encode(), 0) % SLOTS


def route_to(target: Target, *, budget_s: float, preload: tuple[bytes, ...]) -> Route:
    """Return the route for a target."""
    kind = Cluster if target.dialect == "cluster" else Single
    return kind(target, budget_s=budget_s, preload=preload)
