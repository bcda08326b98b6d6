"""What a policy names to be tried is loaded beside it, followed on disk, and never in its way."""

import json
import shutil
from pathlib import Path

import pytest

from riskd.app.candidates import NONE, CandidateFiles
from riskd.app.parts import open_candidates
from riskd.app.readiness import tell
from riskd.app.reload import Loaded
from riskd.app.source import PolicySource, signature_path
from riskd.contract import DecideRequest
from riskd.errors import ConfigError, SignatureError
from riskd.http.api import Part
from riskd.policy.load import load
from riskd.record.reader import read
from riskd.record.schema import DecisionRecord
from riskd.settings import Settings
from tests.app.riskd import Riskd, amend
from tests.app.signing import Signer
from tests.app.test_reload import NOW, errors, loaded, move, write
from tests.http.servers import BODY, eventually

MODELS = Path(__file__).parents[2] / "models"
LOUD = [{"code": "loud", "when": 'action.name == "login"', "weight": 0.1, "floor": "step_up", "text": "A login."}]


@pytest.fixture
def candidate(policy: Path) -> Path:
    """A candidate beside the policy, that steps every login up."""
    path = policy.with_name("candidate.yaml")
    shutil.copy(policy, path)
    amend(path, custom_signals=LOUD)
    return path


def readiness(made: Loaded) -> Part | None:
    """Return what /readyz tells of candidates."""
    return tell(made, "ok", made._parts.writer, draining=False).parts.get("candidates")


async def test_candidates_come_and_go_with_the_policy(policy: Path, candidate: Path) -> None:
    """Named, they are loaded; named no more, nothing is tried and nothing told."""
    async with loaded(policy) as made:
        assert (made.candidates, readiness(made)) == (NONE, None)
        amend(policy, rollout={"policy": "candidate.yaml", "percent": 10}, shadow={"policy": "candidate.yaml"})
        assert await made.refresh(NOW)
        revision = load(candidate).revision
        assert [one.revision for one in made.candidates.policies] == [revision] * 2
        told = readiness(made)
        assert told is not None
        assert (told.state, told.detail) == ("ok", f"rollout: 10 % by {revision}; shadow: policy {revision}")
        amend(policy, rollout=None, shadow=None)
        assert await made.refresh(NOW)
        assert (made.candidates, readiness(made)) == (NONE, None)
        assert errors(made, "candidates") == 0


async def test_the_words_of_a_candidate_in_shadow_change_no_answer(policy: Path, candidate: Path) -> None:
    """An address among the attributes stays masked to the policy in use, though the candidate spells it out."""

    def partner(when: str) -> dict[str, object]:
        signal = {"code": "partner", "when": when, "weight": 0.1, "floor": "deny", "text": "A partner."}
        return {"attributes": {"partner_ip": "text"}, "custom_signals": [signal]}

    amend(policy, **partner('attributes.partner_ip.startsWith("203.")'))
    amend(candidate, **partner('attributes.partner_ip == "203.0.113.7"'))
    body = {**BODY, "context": {**BODY["context"], "attributes": {"partner_ip": "203.0.113.7"}}}
    request = DecideRequest.model_validate_json(json.dumps(body))
    for beside in (None, {"policy": "candidate.yaml"}):
        amend(policy, shadow=beside)
        async with loaded(policy) as made:
            assert made.candidates.shadow is None or beside is not None
            assert (await made.engine.decide(request, now=NOW)).decision != "deny"


async def test_a_candidate_is_followed_and_a_bad_one_told(policy: Path, candidate: Path) -> None:
    """It is taken over without a change of the policy; a bad one leaves the last good one, and the policy alone."""
    amend(policy, rollout={"policy": "candidate.yaml", "percent": 10})
    async with loaded(policy) as made:
        revision, first = made.policy.revision, made.candidates
        amend(candidate, level=3)
        assert await made.refresh(NOW)
        assert made.candidates != first
        good = made.candidates
        write(candidate, "version: 1\nlevl: 3\n")
        assert not await made.refresh(NOW)
        assert not await made.refresh(NOW)
        assert made.candidates == good
        assert (made.policy.revision, made.policy_problem) == (revision, None)
        told = readiness(made)
        assert told is not None
        assert (told.ready, told.state, errors(made, "candidates")) == (True, "stale", 1)
        assert "levl" in str(told.detail)
        shutil.copy(policy, candidate)
        assert await made.refresh(NOW)
        assert "candidates" not in made.problems


async def test_a_bad_candidate_of_another_policy_is_not_tried(policy: Path, candidate: Path) -> None:
    """The last good candidate went with the former policy; the new one takes effect without any."""
    amend(policy, rollout={"policy": "candidate.yaml", "percent": 10})
    async with loaded(policy) as made:
        assert made.candidates != NONE
        move(candidate, candidate.with_name("aside.yaml"))
        amend(policy, level=3)
        assert await made.refresh(NOW)
        assert (made.policy.file.level, made.candidates) == (3, NONE)
        assert made.problems["candidates"].endswith("cannot be read: No such file or directory")
        shutil.copy(policy, candidate)
        assert await made.refresh(NOW)
        assert made.candidates != NONE


def test_velocities_are_bounded_together(policy: Path, candidate: Path) -> None:
    """Policy and candidate may each declare 32, but no more than 32 different ones between them."""

    def velocities(window: str) -> list[dict[str, str]]:
        return [
            {"name": f"seen_{n}_{window}", "count": "attempts", "per": f"attributes.a{n}", "window": window}
            for n in range(20)
        ]

    attributes = {f"a{n}": "text" for n in range(20)}
    amend(policy, shadow={"policy": "candidate.yaml"}, attributes=attributes, velocities=velocities("1h"))
    amend(candidate, attributes=attributes, velocities=velocities("1h"))
    assert CandidateFiles(Settings(), policy).load(load(policy)).shadow is not None
    amend(candidate, velocities=velocities("2h"))
    with pytest.raises(ConfigError, match="40 velocities are declared"):
        CandidateFiles(Settings(), policy).load(load(policy))


async def test_a_service_starts_without_its_candidate(policy: Path) -> None:
    """A candidate that is not there is told from the first moment."""
    amend(policy, shadow={"policy": "gone.yaml"})
    async with loaded(policy) as made:
        told = readiness(made)
        assert told is not None
        assert (told.ready, told.state, errors(made, "candidates")) == (True, "none", 1)


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("lists", {"deny": {"networks": ["192.0.2.0/24"]}}),
        ("record", {"keep": {"ip": "plain"}}),
        ("deadlines", {"store": "10ms"}),
        ("learning", {"outcome_window": "1d"}),
    ],
)
def test_what_is_one_for_both(policy: Path, candidate: Path, section: str, value: dict[str, object]) -> None:
    """A candidate that would look up, keep or learn otherwise is refused, and the section is named."""
    amend(policy, shadow={"policy": "candidate.yaml"})
    amend(candidate, **{section: value})
    with pytest.raises(ConfigError, match=f"candidate.yaml: a candidate must have the same {section} as the policy"):
        CandidateFiles(Settings(), policy).load(load(policy))


def test_a_model_in_shadow(policy: Path, tmp_path: Path) -> None:
    """It is loaded by its version; one that is not there is wrong, and a command goes on without."""
    version = (MODELS / "CURRENT").read_text().strip()
    amend(policy, shadow={"model": version})
    where = Settings(data_dir=tmp_path / "data", policy=policy, models_dir=MODELS)
    files = CandidateFiles(where, policy)
    model = files.load(load(policy)).model
    assert model is not None
    assert model.version == version
    assert {path.name for path in files.files(load(policy))} == {"manifest.json", "model.onnx"}
    amend(policy, shadow={"model": "20200101-00000000"})
    with pytest.raises(ConfigError, match="20200101-00000000"):
        files.load(load(policy))
    assert open_candidates(where, load(policy)) == NONE


def test_where_only_signed_policies_are_used(policy: Path, candidate: Path, tmp_path: Path) -> None:
    """A candidate needs a signature of its own; an older version does not come back, and is apart from the policy's."""
    signer = Signer()
    keys = signer.trust(tmp_path / "keys" / "ops.pub")
    amend(policy, rollout={"policy": "candidate.yaml", "percent": 10})
    files = CandidateFiles(Settings(data_dir=tmp_path / "data", policy=policy, policy_keys=keys), policy)
    with pytest.raises(ConfigError, match="not signed"):
        files.load(load(policy))
    signer.sign(candidate, 7, role="rollout")
    assert files.load(load(policy)).rollout is not None
    signer.sign(candidate, 6, role="rollout")
    with pytest.raises(ConfigError, match="older than 7"):
        files.load(load(policy))
    assert not (tmp_path / "data" / "live-seen.json").exists()


def test_a_candidate_judges_only_what_it_was_signed_for(policy: Path, candidate: Path, tmp_path: Path) -> None:
    """Signed for shadow it neither rolls out nor takes the place of the live policy, whatever its version; nor back."""
    signer = Signer()
    keys = signer.trust(tmp_path / "keys" / "ops.pub")
    amend(policy, rollout={"policy": "candidate.yaml", "percent": 10})
    files = CandidateFiles(Settings(data_dir=tmp_path / "data", policy=policy, policy_keys=keys), policy)
    for role in ("shadow", "live"):
        signer.sign(candidate, 9, role=role)
        with pytest.raises(SignatureError, match=rf"candidate\.yaml: used as rollout, but signed as {role}"):
            files.load(load(policy))
    signer.sign(candidate, 9, role="rollout")
    amend(policy, shadow={"policy": "candidate.yaml"})
    both = files.load(load(policy))
    assert both.rollout is not None
    assert both.shadow is not None
    signature_path(policy).write_bytes(signature_path(candidate).read_bytes())
    policy.write_bytes(candidate.read_bytes())
    with pytest.raises(SignatureError, match=r"riskd\.yaml: used as live, but signed as rollout"):
        PolicySource(policy, keys, tmp_path / "data").load()


def test_a_worker_serves_both(riskd: Riskd, policy: Path, candidate: Path) -> None:
    """Over HTTP: all are judged by the candidate at 100 %, and at 0 % only beside; a broken one changes nothing."""
    amend(policy, rollout={"policy": "candidate.yaml", "percent": 100})
    running = riskd.start(workers=2)
    own, rolled = load(policy).revision, load(candidate).revision
    with running.client() as client:
        answer = client.post("/decide", json=BODY).json()
        assert (answer["decision"], answer["policy_revision"]) == ("step_up", rolled)
        assert client.get("/readyz").json()["parts"]["policy"]["revision"] == own
        amend(policy, rollout={"policy": "candidate.yaml", "percent": 0}, shadow={"policy": "candidate.yaml"})
        own = load(policy).revision

        def judged_by_own() -> bool:
            answers = [client.post("/decide", json=BODY).json() for _ in range(4)]
            return {(answer["decision"], answer["policy_revision"]) for answer in answers} == {("allow", own)}

        assert eventually(judged_by_own)
        candidate.write_text("nonsense")
        assert eventually(lambda: client.get("/readyz").json()["parts"]["candidates"]["state"] == "stale")
        assert client.get("/readyz").status_code == 200
        last = client.post("/decide", json=BODY).json()
    running.end()
    record = next(r for r in read(riskd.data_dir / "log") if r.decision_id == last["decision_id"])
    assert isinstance(record, DecisionRecord)
    assert record.shadow is not None
    assert (record.outcome, record.shadow.outcome, record.shadow.policy_revision) == ("allow", "step_up", rolled)
    assert record.shadow.new == ("loud",)
