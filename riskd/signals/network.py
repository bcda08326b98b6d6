"""The address or its network is new, hidden, hosted or listed."""

from riskd.signals.signal import signal


@signal(weight=0.04)
def new_ip(ip_unseen_days: float, *, memory_days: float = 180.0) -> bool:
    """The address is not among the subject's last confirmed ones.

    False alarms: every dynamic address and mobile phone; it matters only beside other reasons.
    """
    return ip_unseen_days > memory_days


@signal(weight=0.12)
def new_network(network_unseen_days: float, *, memory_days: float = 180.0) -> bool:
    """The network was never part of a confirmed success of this subject.

    False alarms: a café, a hotel, a new provider, the first time on mobile data.
    """
    return network_unseen_days > memory_days


@signal(weight=0.95)
def denied_network(address_denied: float) -> bool:
    """The policy denies this address, its prefix or its ASN.

    False alarms: shared or reassigned ranges.
    """
    return address_denied > 0


@signal(weight=0.45)
def tor_exit(tor: float) -> bool:
    """The address is a Tor exit.

    False alarms: people who value privacy; lower the weight where they are your public.
    """
    return tor > 0


@signal(weight=0.22)
def anonymous_proxy(proxy: float, network_last_used_days: float, *, known_days: float = 90.0) -> bool:
    """The address belongs to a commercial VPN or an open proxy that the subject does not usually come through.

    False alarms: a first day with a new VPN provider.
    """
    return proxy > 0 and network_last_used_days > known_days


@signal(weight=0.25)
def hosting_network(
    hosting: float, network_last_used_days: float, *, known_days: float = 90.0, interactive: bool = True
) -> bool:
    """A person acts from a hosting or cloud network that the subject does not usually come through.

    False alarms: corporate proxies and virtual desktops in a cloud, on their first day.
    """
    return interactive and hosting > 0 and network_last_used_days > known_days


@signal(weight=0.80)
def listed_ip(lists_naming_ip: float) -> bool:
    """A deny list or threat feed holds the address.

    False alarms: stale entries and shared addresses; give list entries an expiry.
    """
    return lists_naming_ip > 0
