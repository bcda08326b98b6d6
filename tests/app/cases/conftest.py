"""Cases judged as `riskd test` judges them: a real engine on a real Valkey of its own."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from riskd.anomaly.model import Model
from riskd.app.cases.load import load
from riskd.app.cases.run import Result, open_rehearsal
from riskd.policy import Policy
from riskd.settings import Settings

ATTEMPTS = """
attempts:
  home:
    subject: {id: alice, account_age_days: 400}
    action: {name: login}
    context:
      ip: 81.2.69.142
      network: {asn: 20712, kind: residential}
      place: {country: GB, latitude: 51.5, longitude: -0.13}
      device_id: laptop
      user_agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0
      accept_language: en-GB
  abroad:
    like: home
    context:
      ip: 177.36.0.1
      network: {asn: 28573}
      place: {country: BR, latitude: -23.55, longitude: -46.63}
      device_id: unheard-of
      user_agent: Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0
      accept_language: pt-BR
"""

Judge = Callable[..., list[Result]]


@pytest.fixture
def cases_file(tmp_path: Path) -> Callable[[str], Path]:
    """Write cases after the attempts they are like."""

    def write(cases: str) -> Path:
        path = tmp_path / "written.yaml"
        path.write_text(f"{ATTEMPTS}\ncases:\n{cases}", encoding="utf-8")
        return path

    return write


@pytest.fixture
def judge(cases_file: Callable[[str], Path], default_policy: Policy, tmp_path: Path) -> Judge:
    """Judge cases by a policy, the shipped one unless another is given."""

    def run(cases: str, policy: Policy = default_policy, model: Model | None = None) -> list[Result]:
        path = cases_file(cases)
        settings = Settings(data_dir=tmp_path / "service")

        async def judged() -> list[Result]:
            async with open_rehearsal(settings, policy, tmp_path / "riskd.yaml", model) as rehearsal:
                return [await rehearsal.judge(case) for case in load(path, policy)]

        return asyncio.run(judged())

    return run
