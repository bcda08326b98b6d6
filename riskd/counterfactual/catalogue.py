"""The changes that are tried, in the order in which a person would think of them."""

from collections.abc import Callable

from riskd.counterfactual import account, amount, device, network, timing
from riskd.counterfactual.change import Change
from riskd.counterfactual.velocity import counting_anew
from riskd.facts import Facts
from riskd.policy import Plan, Policy

OFFERS: tuple[Callable[[Facts], Change | None], ...] = (
    device.known_device,
    network.known_network,
    network.known_place,
    network.plain_network,
    network.unlisted_address,
    amount.smaller_amount,
    amount.usual_amount,
    amount.known_recipient,
    account.without_failures,
    timing.later,
    account.steady_session,
    account.only_session,
    account.own_payload,
    account.without_changes,
    account.settled_report,
    account.sources_up,
    device.settled_device,
    device.usual_browser,
    device.own_device,
    device.fitting_clock,
    network.quiet_address,
    account.unleaked_credential,
    account.lasting_email,
    account.off_deny_lists,
    account.old_account,
    account.recent_success,
    account.plain_path,
    timing.usual_hour,
)
"""Each says what could have been otherwise about an attempt, or None when it could not."""


def changes_for(facts: Facts, policy: Policy, plan: Plan) -> list[Change]:
    """Return what could have been otherwise about an attempt, in order; some 10 of 29 for the usual one."""
    found = [counting_anew(change, plan.counted) for offer in OFFERS if (change := offer(facts)) is not None]
    fresh = account.fresh_authentication(policy, plan)
    return found if fresh is None else [*found, fresh]


def documented() -> dict[str, str]:
    """Each change by code, with what it means."""
    return {
        "amount" if offer in {amount.smaller_amount, amount.usual_amount} else offer.__name__: (
            " ".join((offer.__doc__ or "").split())
        )
        for offer in (*OFFERS, account.fresh_authentication)
        if offer is not amount.usual_amount
    }
