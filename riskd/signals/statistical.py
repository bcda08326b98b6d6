"""The attempt as a whole is unlike the subject, or unlike anybody.

Both weigh the same facts as the declared signals do, in another way; they are compared with those signals' sum, and
what they add is the part by which they exceed it. On four kinds of simulated attack the larger of the two caught more
at the same false alarms than their sum did.
"""

from math import exp

from riskd.signals.signal import signal


@signal(weight=0.80, statistical=True)
def rare_for_subject(rarity_log_ratio: float, *, min_nats: float = 4.0, nats_per_e_fold: float = 5.0) -> float:
    """Place, client and hour are likelier for an attacker than for this subject so soon after the last success.

    A model is trained so that one honest attempt in a hundred is above 3 nats; at 9 nats this alone asks for a step-up.
    False alarms: the first trip, the first login with a new computer on a new network.
    """
    if rarity_log_ratio <= min_nats:
        return 0.0
    return 1.0 - exp(-(rarity_log_ratio - min_nats) / nats_per_e_fold)


@signal(weight=0.85, statistical=True)
def anomalous(anomaly_score: float, *, min_score: float = 0.99, sharpness: float = 0.125) -> float:
    """All features together are odder than nearly every honest attempt.

    False alarms: by construction `1 - min_score` of honest attempts; the evidence grows with the rarity of the score.
    """
    if anomaly_score < min_score:
        return 0.0
    return 1.0 - float(max(1.0 - anomaly_score, 1e-4) ** sharpness)
