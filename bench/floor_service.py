"""The floor: a bare FastAPI endpoint that validates the login and answers with the same body."""

from fastapi import FastAPI
from pydantic import BaseModel


class Subject(BaseModel):
    """Who."""

    id: str
    type: str = "user"
    session_id: str | None = None
    account_age_days: float | None = None


class Action(BaseModel):
    """What."""

    name: str
    amount: float | None = None
    currency: str | None = None


class Endpoint(BaseModel):
    """Where it is called."""

    path: str
    method: str = "GET"


class Resource(BaseModel):
    """On what."""

    type: str | None = None
    id: str | None = None
    endpoint: Endpoint | None = None


class ClientHints(BaseModel):
    """What the browser says of itself."""

    sec_ch_ua: str | None = None
    sec_ch_ua_platform: str | None = None
    sec_ch_ua_mobile: str | None = None


class Screen(BaseModel):
    """CSS pixels."""

    width: int
    height: int


class Context(BaseModel):
    """Under which circumstances."""

    ip: str
    user_agent: str | None = None
    client_hints: ClientHints | None = None
    device_id: str | None = None
    platform: str | None = None
    screen: Screen | None = None
    accept_language: str | None = None
    utc_offset_minutes: int | None = None
    rtt_ms: float | None = None
    time: float | None = None


class Login(BaseModel):
    """The whole body: 25 fields in seven objects."""

    request_id: str | None = None
    subject: Subject
    action: Action
    resource: Resource = Resource()
    context: Context


app = FastAPI()


@app.post("/echo")
async def echo(login: Login) -> Login:
    """Answer with what came."""
    return login
