"""Lets unreported allows mature, beside the requests: in a thread with a loop, store and log writer of its own.

It reads the decision log, which no event loop that serves should wait for. Of several workers one does it at a time.
"""

import asyncio
import fcntl
from datetime import datetime

from riskd.app.parts import policy_outcomes, policy_store, policy_writer
from riskd.enrich.identity import Pseudonyms
from riskd.maturity import mature
from riskd.metrics import Metrics
from riskd.policy import Policy
from riskd.settings import Settings


def mature_allows(settings: Settings, url: str, policy: Policy, pseudonyms: Pseudonyms, now: datetime) -> Metrics:
    """Go once through what became old enough; return what was counted. Blocks: call it from a thread."""
    counted = Metrics()
    after = policy.file.learning.mature_after
    run = settings.data_dir / "run"
    if after is None:
        return counted

    async def go_through() -> None:
        store, writer = policy_store(settings, url, policy), policy_writer(settings, policy, counted)
        outcomes = policy_outcomes(policy, store, writer, pseudonyms, counted)
        try:
            await mature(settings.log_dir, run / "matured", outcomes, after, now=now)
        finally:
            writer.close()
            await store.close()

    with (run / "maturing.lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return counted
        asyncio.run(go_through())
    return counted
