"""The listening socket that all workers share, and how to close it without resetting anybody."""

import ctypes
import socket
import struct
import sys
from contextlib import suppress
from typing import Final

from riskd.errors import ConfigError

BACKLOG: Final = 2048
SO_ATTACH_FILTER: Final = 26
"""Linux, asm-generic/socket.h."""
DROP_SYN: Final = b"".join(
    struct.pack("HBBI", *step)
    for step in (
        (0x30, 0, 0, 13),  # load the byte of TCP flags (RFC 9293 §3.1)
        (0x45, 0, 1, 0x02),  # SYN set?
        (0x06, 0, 0, 0),  # yes: drop the packet
        (0x06, 0, 0, 0xFFFFFFFF),  # no: take it
    )
)
"""A filter in the BPF language of Linux that drops requests for new connections only."""


def listen(host: str, port: int) -> socket.socket:
    """Return the listening socket; raises ConfigError when the address cannot be had."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, proto)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}; check RISKD_HOST") from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror}; check RISKD_HOST and RISKD_PORT"
        ) from None
    listening.setblocking(False)
    return listening


def take_no_more(listening: socket.socket) -> None:
    """Let no new connection begin, in any process that shares the socket; those begun can still be accepted.

    Closing the last copy of a listening socket resets what waits in its queue. With this a moment before, the queue
    runs empty first, and a late caller is refused when it asks again, as by a port where nobody listens. Does nothing
    where the system has no such filter.
    """
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(DROP_SYN, len(DROP_SYN))
    with suppress(OSError):
        listening.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(DROP_SYN) // 8, ctypes.addressof(program))
        )
