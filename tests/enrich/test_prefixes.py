"""Prefixes within one another, as lists are searched."""

from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st

from riskd.enrich.prefixes import Prefixes

ENTRIES = st.lists(st.tuples(st.integers(0, 255), st.integers(20, 32), st.integers(1, 5)), max_size=16)


@given(ENTRIES, st.integers(0, 2048), st.sampled_from([4, 16]))
def test_the_longest_lasting_holds(entries: list[tuple[int, int, int]], number: int, width: int) -> None:
    """Among prefixes around an address the one that lasts longest holds, however they lie within one another."""
    hidden_bytes = bytes(width - 4)
    read = [(ip_network((host << 3, bits), strict=False), day) for host, bits, day in entries]
    made = Prefixes(width, len(read))
    for network, day in read:
        made.append(hidden_bytes + network.network_address.packed, 8 * (width - 4) + network.prefixlen, day)
    made.seal()
    around = [day for network, day in read if int(network.network_address) <= number <= int(network.broadcast_address)]
    assert made.find(number) == max(around, default=None)


def test_the_ends_of_the_address_space() -> None:
    """The first and the last address are found, under all addresses and by themselves, and none in an empty list."""
    for width, last in ((4, 2**32 - 1), (16, 2**128 - 1)):
        made = Prefixes(width, 3)
        made.append(bytes(width), 8 * width, 7)
        made.append(last.to_bytes(width, "big"), 8 * width, 9)
        made.append(bytes(width), 0, 5)
        made.seal()
        assert [made.find(number) for number in (0, 1, last - 1, last)] == [7, 5, 5, 9]
        empty = Prefixes(width, 0)
        empty.seal()
        assert (empty.find(0), empty.find(last), len(empty)) == (None, None, 0)


def test_what_says_nothing_of_its_own_is_left_out() -> None:
    """A prefix that lasts no longer than one around it takes no room, and neither does one that stands twice."""
    made = Prefixes(4, 6)
    for host, length, day in ((0, 24, 5), (0, 24, 5), (7, 32, 5), (8, 32, 4), (9, 32, 6), (0, 24, 3)):
        made.append(bytes((10, 0, 0, host)), length, day)
    made.seal()
    assert [made.find((10 << 24) + host) for host in (0, 7, 8, 9, 255)] == [5, 5, 5, 6, 5]
    assert len(made) == 3  # day 3 of the network stands before day 5 of it
