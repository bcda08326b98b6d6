"""What one would write in a day instead: FastAPI, redis-py, geoip2, user_agents, an IsolationForest and ten ifs.

Environment: `DAY_REDIS_URL` where the counters are, `DAY_MMDB` the city database.
"""

import os
import time
from math import asin, cos, radians, sin, sqrt
from typing import Any

import geoip2.database
import geoip2.errors
import numpy as np
import redis.asyncio as redis
import user_agents
from fastapi import FastAPI
from floor_service import Login
from sklearn.ensemble import IsolationForest

app = FastAPI()
cities = geoip2.database.Reader(os.environ["DAY_MMDB"])
store = redis.from_url(os.environ["DAY_REDIS_URL"], decode_responses=True)
forest = IsolationForest(n_estimators=100, random_state=0).fit(np.random.default_rng(0).normal(size=(4096, 10)))


def kilometres(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Great-circle distance."""
    p, q = radians(lat1), radians(lat2)
    h = sin((q - p) / 2) ** 2 + cos(p) * cos(q) * sin(radians(lon2 - lon1) / 2) ** 2
    return 12742 * asin(sqrt(h))


async def counts(login: Login) -> tuple[int, int, int, dict[str, str]]:
    """Count this attempt; return the subject's, address's and device's counts and the last login."""
    subject, address, device = login.subject.id, login.context.ip, login.context.device_id
    async with store.pipeline(transaction=False) as pipe:
        for key in (f"s:{subject}", f"i:{address}", f"d:{device}"):
            pipe.incr(key)
            pipe.expire(key, 3600)
        pipe.hgetall(f"last:{subject}")
        replies = await pipe.execute()
    return replies[0], replies[2], replies[4], replies[6]


@app.post("/decide")
async def decide(login: Login) -> dict[str, Any]:  # noqa: C901 - ten ifs are the point
    """Judge one login."""
    context, now = login.context, login.context.time or time.time()
    try:
        city = cities.city(context.ip)
        country, lat, lon = city.country.iso_code, city.location.latitude, city.location.longitude
    except geoip2.errors.AddressNotFoundError:
        country, lat, lon = None, None, None
    agent = user_agents.parse(context.user_agent or "")
    of_subject, of_address, of_device, last = await counts(login)
    speed = 0.0
    if last.get("lat") and lat is not None and lon is not None:
        km = kilometres(float(last["lat"]), float(last["lon"]), lat, lon)
        speed = km / max((now - float(last["time"])) / 3600, 0.01)
    hour = now % 86400 / 3600
    vector = [
        *(of_subject, of_address, of_device, speed / 900, hour, context.rtt_ms or 0),
        *(agent.is_mobile, agent.is_bot, login.subject.account_age_days or 0, context.utc_offset_minutes or 0),
    ]
    anomaly = -float(forest.score_samples(np.array([vector], dtype=float))[0])

    score, reasons = 0, []
    if last and last.get("device") != context.device_id:
        score, reasons = score + 25, [*reasons, "new_device"]
    if last and last.get("country") != (country or ""):
        score, reasons = score + 20, [*reasons, "new_country"]
    if speed > 900:
        score, reasons = score + 40, [*reasons, "impossible_travel"]
    if of_subject > 10:
        score, reasons = score + 20, [*reasons, "many_attempts"]
    if of_address > 100:
        score, reasons = score + 30, [*reasons, "many_on_address"]
    if of_device > 20:
        score, reasons = score + 20, [*reasons, "many_on_device"]
    if agent.is_bot:
        score, reasons = score + 50, [*reasons, "bot"]
    if hour < 5:
        score, reasons = score + 5, [*reasons, "night"]
    if (login.subject.account_age_days or 0) < 1:
        score, reasons = score + 10, [*reasons, "new_account"]
    if anomaly > 0.7:
        score, reasons = score + 20, [*reasons, "anomaly"]

    place = {"lat": lat or "", "lon": lon or "", "country": country or ""}
    await store.hset(f"last:{login.subject.id}", mapping={"time": now, "device": context.device_id or "", **place})
    decision = "deny" if score >= 70 else "step_up" if score >= 30 else "allow"
    return {"decision": decision, "score": score, "reasons": reasons}
