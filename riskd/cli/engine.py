"""Which engine goes through a log, and how logs are named: what train, evaluate, replay and backfill have in common."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from riskd.cli.root import settings

if TYPE_CHECKING:
    from riskd.learn.blocks import Engine


class EngineName(StrEnum):
    """Where the work is done."""

    LOCAL = "local"
    SPARK = "spark"


EngineOption = Annotated[
    EngineName,
    typer.Option("--engine", help="local: this machine; spark: a Spark cluster (pip install 'riskd[spark]')."),
]
Jobs = Annotated[int, typer.Option(min=0, max=256, help="Processes of this machine; 0: one per core.")]
Logs = Annotated[
    list[str] | None,
    typer.Option(
        "--log",
        help="Folder, file, glob or URI (s3://, gs://, file://) of a decision log: JSON lines, compressed or not, or "
        "Parquet; may be repeated. Default: this service's own.",
    ),
]


def logs_of(log: list[str] | None) -> list[str]:
    """Return the logs that were named, or else this service's own."""
    return log or [str(settings().log_dir)]


@contextmanager
def opened(name: EngineName, jobs: int) -> Iterator["Engine"]:
    """Yield an engine, open as long as the block."""
    if name is EngineName.LOCAL:
        from riskd.learn.blocks import Local  # noqa: PLC0415 - offline parts load only here

        yield Local(jobs)
        return
    from riskd.learn.spark import spark  # noqa: PLC0415

    with spark() as cluster:
        yield cluster
