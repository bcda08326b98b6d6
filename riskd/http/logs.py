"""Logs of a process: one JSON object a line on stderr, whatever a value holds; times in UTC.

Nothing logs a body, a key or an id that a caller sent, so there is nothing to mask here.
"""

import logging
import sys
from typing import Final

import structlog

QUIET: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio")
"""Libraries whose every warning a caller could provoke at will; their errors are heard."""


def configure_logs(level: str) -> None:
    """Send structlog's and the standard library's events from `level` up (`debug` … `error`) to stderr as JSON."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # what a change led to is told by whoever took it over
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
