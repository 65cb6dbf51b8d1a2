"""The plugin's own --batch at the real service: submitted once, killed, collected from another clone, equal to live answers."""

import json
from pathlib import Path

from tests.support.local_service import NEEDS_EXTRA, Service
from tests.support.project import Project, wait_for

pytestmark = NEEDS_EXTRA
BASELINE = ("evals", "-m", "baseline", "-p", "no:xdist")


def project_at(service: Service, folder: Path) -> Project:
    project = Project(folder, service.base_url)
    project.edit_suite("small-2026-01-01", "tiny-1.5")
    project.edit_suite("temperature = 0", "temperature = 0\nmax_completion_tokens = 6")
    project.set_waits("recorder.batches.engine", FIRST_POLL_S=0.2, LONGEST_POLL_S=0.5)
    return project


def texts(project: Project) -> dict[str, str]:
    """What the model answered, by sample."""
    from evaltape.recording import cassettes

    answers = {path.stem: cassettes.read(path)[0].answered for path in (project.cassettes / "small").glob("t*.yaml")}
    return {name: answer["choices"][0]["message"]["content"] for name, answer in answers.items()}


def test_a_killed_batch_is_collected_from_another_clone_and_equals_live_answers(service: Service, tmp_path: Path) -> None:
    first, second, live = (project_at(service, tmp_path / name) for name in ("first", "second", "live"))
    before = len(list(service.client().batches.list(limit=100)))
    running = first.start(*BASELINE, "--record", "--batch")
    entry = first.cassettes / "batches.json"
    wait_for(lambda: entry.exists() and json.loads(entry.read_text())[0]["id"])
    running.kill()
    run = second.run(*BASELINE, "--record-missing", "--batch")
    assert "was submitted before: nothing is submitted for these" in run.output, run.output
    batches = list(service.client().batches.list(limit=100))
    assert len(batches) == before + 1
    assert batches[0].request_counts.completed == 6  # type: ignore[union-attr]
    assert len(second.recorded()) == 6
    assert not (second.cassettes / "batches.json").exists()
    live.run(*BASELINE, "--record")
    assert texts(second) == texts(live)
    assert all('"x-evaltape-came": ["batch"]' in text for text in second.recorded().values())
