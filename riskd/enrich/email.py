"""Disposable e-mail domains."""

from functools import lru_cache

from disposable_email_domains import blocklist

from riskd.policy.entry import ascii_domain


@lru_cache(maxsize=8192)
def is_disposable(domain: str) -> bool:
    """Whether a domain, or a domain above it, is on the list of disposable ones, however it is spelt."""
    labels = ascii_domain(domain.strip().rstrip(".").lower()).split(".")
    return any(".".join(labels[start:]) in blocklist for start in range(max(1, len(labels) - 1)))
