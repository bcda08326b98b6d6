"""The image that no engine builds here, linted: small, pinned, without root, and the same command as `make run`."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text()


def steps() -> list[tuple[str, str]]:
    """Return the instructions with their arguments, continued lines joined."""
    joined = re.sub(r"\\\n\s*", " ", TEXT)
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def arguments(word: str) -> list[str]:
    """Return the arguments of every instruction of a kind."""
    return [rest for name, rest in steps() if name == word]


def test_every_base_is_slim_and_pinned() -> None:
    """Both stages stand on one slim Python of a named version."""
    bases = {rest.split()[0] for rest in arguments("FROM")}
    assert bases == {"python:3.13-slim"}
    assert len(arguments("FROM")) == 2


def test_it_runs_as_a_number_that_is_not_root() -> None:
    """The last user is numeric, so that Kubernetes' runAsNonRoot can see it."""
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", arguments("USER")[-1])
    order = [name for name, _ in steps()]
    assert order.index("USER") < order.index("HEALTHCHECK") < order.index("CMD")


def test_nothing_is_fetched_from_elsewhere() -> None:
    """No ADD, no URL: what is in the image came from this tree and the package index."""
    assert arguments("ADD") == []
    assert not re.search(r"https?://(?!127\.0\.0\.1)", TEXT)


def test_everything_copied_exists_and_is_not_ignored() -> None:
    """Each path copied from the tree is there, and .dockerignore lets it through."""
    allowed = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")}
    for rest in arguments("COPY"):
        if not rest.startswith("--from"):
            *sources, _ = rest.split()
            for source in sources:
                assert (ROOT / source).exists(), source
                assert source in allowed, source


def test_state_is_in_the_volume_alone() -> None:
    """With a read-only root only the volume is written."""
    assert arguments("VOLUME") == ["/data"]
    assert "RISKD_DATA_DIR=/data" in TEXT
    assert "PYTHONDONTWRITEBYTECODE=1" in TEXT


def test_it_serves_as_make_run_does() -> None:
    """Both start the same command."""
    assert arguments("CMD") == ['["riskd", "serve"]']
    assert re.search(
        r"^run:.*\n(?:\t.*\n)*\t@RISKD_PORT=\$\(PORT\) exec \$\(BIN\)/riskd serve$",
        (ROOT / "Makefile").read_text(),
        re.MULTILINE,
    )
    assert '"riskd", "health"' in arguments("HEALTHCHECK")[0]
