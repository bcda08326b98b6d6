"""The policy's own lists name the attempt."""

from riskd.contract import Outcome
from riskd.signals.signal import signal


@signal(weight=0.95, floor=Outcome.DENY)
def deny_listed(deny_lists: str) -> bool:
    """A deny list of the policy names the address, network, country, subject, device, e-mail domain or endpoint.

    False alarms: entries without an expiry, ranges and devices that changed hands.
    """
    return deny_lists != ""
