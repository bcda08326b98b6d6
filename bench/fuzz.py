"""Coverage-guided fuzzing of what reads strangers' words: bodies, addresses, user agents, paths, policies, records.

`python bench/fuzz.py` runs each target for a while in a process of its own (atheris, libFuzzer); `python bench/fuzz.py
<target>` runs one. A target may refuse with riskd's own errors and nothing else.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

SECONDS = 20


def body(data: bytes) -> None:
    """Read a request body."""
    from riskd.contract import DecideBatchRequest, DecideRequest, OutcomeReport  # noqa: PLC0415 - after instrumenting
    from riskd.http.body import parse  # noqa: PLC0415
    from riskd.http.refusal import Refused  # noqa: PLC0415

    for model in (DecideRequest, DecideBatchRequest, OutcomeReport):
        with suppress(Refused):
            parse(data, model)


def address(data: bytes) -> None:
    """Read an address and forwarded headers."""
    from ipaddress import ip_network  # noqa: PLC0415

    from riskd.enrich.address import parse_address  # noqa: PLC0415
    from riskd.enrich.forwarded import client_ip  # noqa: PLC0415
    from riskd.errors import RequestError  # noqa: PLC0415

    with suppress(RequestError):
        parse_address(data.decode("latin-1"))
    for name in (b"x-forwarded-for", b"forwarded", b"x-real-ip"):
        client_ip("10.0.0.1", [(name, data)], (ip_network("10.0.0.0/8"),))


def user_agent(data: bytes) -> None:
    """Read a user agent, client hints and a language."""
    from riskd.contract import ClientHints, Context  # noqa: PLC0415
    from riskd.enrich.device import read_device  # noqa: PLC0415

    text = "".join(letter for letter in data.decode("utf-8", "replace") if letter.isprintable())
    hints = ClientHints(sec_ch_ua=text[:1024], sec_ch_ua_full_version_list=text[:1024])
    read_device(Context(user_agent=text[:8192], client_hints=hints, accept_language=text[:512]), None, None)


def path(data: bytes) -> None:
    """Normalise a path."""
    from riskd.enrich.path import normalise_path  # noqa: PLC0415

    normalise_path(data.decode("utf-8", "replace")[:4096])


def policy(data: bytes) -> None:
    """Read a policy file."""
    from riskd.errors import PolicyError  # noqa: PLC0415
    from riskd.policy.load import load  # noqa: PLC0415

    FILE.write_bytes(data)
    with suppress(PolicyError):
        load(FILE)


def record(data: bytes) -> None:
    """Read a line of the log."""
    from riskd.record.schema import LineError, decode  # noqa: PLC0415

    with suppress(LineError):
        decode(data)


FILE = Path(tempfile.gettempdir()) / "riskd-fuzzed.yaml"
TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (body, address, user_agent, path, policy, record)
}


def run_one(name: str, seconds: int) -> None:
    """Fuzz one target; libFuzzer ends the process."""
    import atheris  # noqa: PLC0415 - not on every Python

    target = TARGETS[name]
    with atheris.instrument_imports(include=["riskd"]):
        target(b"")
    atheris.Setup(
        [sys.argv[0], f"-max_total_time={seconds}", "-max_len=4096", "-verbosity=1", *SEEDS.get(name, [])], target
    )
    atheris.Fuzz()


SEEDS: dict[str, list[str]] = {}


def seeded(name: str, work: Path) -> Path:
    """Write what fuzzing of a target begins with."""
    root = Path(__file__).parents[1]
    seeds = {
        "body": [b'{"subject":{"id":"a"},"action":{"name":"login"},"context":{"ip":"1.2.3.4"}}'],
        "address": [b"1.2.3.4, [2001:db8::1]:80", b'for="[::1]";proto=https'],
        "user_agent": [b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/141.0.0.0 Safari/537.36"],
        "path": [b"/a/%2e%2e/b;c=1//d?e#f"],
        "policy": [file.read_bytes()[:4000] for file in (root / "riskd" / "policy" / "shipped").glob("*.yaml")],
        "record": [b'{"record":"outcome","v":1,"decision_id":"0190b2a0-0000-7000-8000-00000000000a"}'],
    }
    folder = work / name
    folder.mkdir()
    for number, seed in enumerate(seeds[name]):
        (folder / str(number)).write_bytes(seed)
    return folder


def run_all(seconds: int = SECONDS) -> dict[str, tuple[int, str]]:
    """Fuzz every target; return how many inputs each took and what broke it, if anything did."""
    found = {}
    with tempfile.TemporaryDirectory() as directory:
        for name in TARGETS:
            corpus = seeded(name, Path(directory))
            ended = subprocess.run(
                [sys.executable, __file__, name, str(seconds), str(corpus)],
                capture_output=True,
                text=True,
                timeout=seconds * 3 + 60,
                check=False,
                cwd=directory,
            )
            done = [line for line in ended.stderr.splitlines() if line.startswith("Done ")]
            runs = int(done[-1].split()[1]) if done else 0
            found[name] = runs, "" if ended.returncode == 0 else ended.stderr[-1500:]
    return found


if __name__ == "__main__":
    if len(sys.argv) > 1:
        SEEDS[sys.argv[1]] = sys.argv[3:]
        run_one(sys.argv[1], int(sys.argv[2]))
    for target_name, (count, trouble) in run_all().items():
        print(f"{target_name}: {count:,} inputs {'broken: ' + trouble if trouble else 'without a crash'}")
