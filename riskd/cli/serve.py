"""Run the service, and ask a running one how it is."""

import sys
from typing import Annotated

import typer

from riskd.app import serve as run_service
from riskd.cli.root import app, fail, settings


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default: RISKD_HOST or 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; default: RISKD_PORT or 8000; 0 takes a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; default: RISKD_WORKERS or 1.")] = None,
) -> None:
    """Serve decisions; once ready it prints `riskd ready: <url> key=<api key>`."""
    given = {"host": host, "port": port, "workers": workers}
    run_service(settings().model_copy(update={name: value for name, value in given.items() if value is not None}))


@app.command()
def health(
    url: Annotated[str, typer.Option(help="Base URL; default: where this environment would serve.")] = "",
) -> None:
    """Exit 0 when a service answers /healthz, 1 otherwise; for container health checks."""
    from urllib.error import URLError  # noqa: PLC0415 - only this command needs a client
    from urllib.request import urlopen  # noqa: PLC0415

    where = settings()
    base = url or f"http://{'127.0.0.1' if where.host in {'0.0.0.0', '::'} else where.host}:{where.port}"  # noqa: S104
    if not base.startswith(("http://", "https://")):
        fail(f"{base} is no http URL")
    try:
        with urlopen(f"{base}/healthz", timeout=3) as answer:  # noqa: S310 - the scheme was looked at
            sys.stdout.write(answer.read(1000).decode() + "\n")
    except (URLError, OSError, ValueError) as error:
        fail(f"{base} does not answer: {error}")
