"""Judges' verdicts, repeats and tuned models through the Batch API and through other engines' files."""

import json
from collections import Counter
from pathlib import Path

from tests.recorder.test_engines import answered
from tests.recorder.test_verdicts import COUNT, MODEL, record, says
from tests.support.judged import SUITE, JudgedProject, rows
from tests.support.server import ApiServer
from tests.support.server.server import first_line
from tests.support.tuning import TuningProject


def judged(folder: Path, api: ApiServer) -> JudgedProject:
    """A project with a called model and a judge that need no exam; nothing is recorded yet."""
    suite = SUITE.replace("[judges.faithful]", MODEL, 1).split("[models.old]")[0]
    suite = suite.replace('[judges.faithful.exam]\nmutants = ["swap_names", "negate"]\nsamples = 20\n', "unexamined = true\n")
    project = JudgedProject(folder, api.base_url, suite)
    project.write_rows(rows(COUNT))
    api.answers |= {"judge-1": says, "small-1": first_line}
    return project


def of(names: list[str]) -> Counter[str]:
    """How many requests there were by the folder that their answers lie in."""
    return Counter(name.split("@")[0].rpartition("/")[0] for name in names)


def test_verdicts_are_submitted_once_their_answers_are_collected(tmp_path: Path, api: ApiServer) -> None:
    project = judged(tmp_path / "project", api)
    project.set_waits("recorder.batches.engine", FIRST_POLL_S=0.02, LONGEST_POLL_S=0.1, SETTLED_S=0.02)
    record(project, "--record", "--batch", "--repeat", "2", "-p", "no:xdist")
    assert api.calls == 0
    models = [batch["metadata"]["evaltape_model"] for batch in api.batches.made.values()]
    assert models == ["small", "faithful"]
    # Each answer twice; two verdicts on the first, one on the second.
    assert of(api.batches.asked) == {"chats/small": 2 * COUNT, "chats/small/faithful": 3 * COUNT}
    assert '"x-evaltape-came": ["batch"]' in (project.cassettes / "small/faithful/t001.again-2.yaml").read_text()
    assert not list(project.cassettes.rglob("unfinished.json"))
    assert not (project.cassettes / "batches.json").exists()


def test_verdicts_are_a_second_round_of_files(tmp_path: Path, api: ApiServer) -> None:
    project = judged(tmp_path / "project", api)
    for model, number in (("small", COUNT), ("faithful", COUNT)):
        run = project.run("evals", "--record-missing", "--requests-to", "out", "-p", "no:xdist")
        assert run.exit_code == 0, run.output
        assert [path.name for path in (project.root / "out").iterdir()] == [f"chats.{model}.jsonl"]
        requests = [json.loads(line) for line in (project.root / f"out/chats.{model}.jsonl").read_text().splitlines()]
        assert len(requests) == number
        say = says if model == "faithful" else first_line
        lines = [answered(request, say(request["body"]["messages"][-1]["content"])) for request in requests]
        (project.root / "answers.jsonl").write_text("\n".join(lines))
        run = project.run("evals", "--record-missing", "--answers-from", "answers.jsonl", "--snapshot-update", "-p", "no:xdist")
        assert run.exit_code == (1 if model == "small" else 0), run.output
    assert api.requests == []
    assert len(list((project.cassettes / "small/faithful").glob("*.yaml"))) == COUNT


def test_a_tuned_model_is_asked_by_the_name_that_its_job_knows(tuned: TuningProject) -> None:
    for path in tuned.cassettes.glob("tuned/t*.yaml"):
        path.unlink()
    tuned.api.forget()
    finetuned = ("evals", "-m", "finetuned", "-p", "no:xdist", "--record-missing")
    assert tuned.run(*finetuned, "--requests-to", "out").exit_code == 0
    requests = [json.loads(line) for line in (tuned.root / "out/chats.tuned.jsonl").read_text().splitlines()]
    assert {request["body"]["model"][:3] for request in requests} == {"ft:"}
    lines = [answered(request, tuned.api.references[dialogue_of(request)]) for request in requests]
    (tuned.root / "answers.jsonl").write_text("\n".join(lines) + "\n")
    run = tuned.run(*finetuned, "--answers-from", "answers.jsonl")
    assert run.exit_code == 0, run.output

    # Without its job there is no name to ask by, and none is paid for on the way.
    tuned.job_cassette.unlink()
    run = tuned.run("evals", "-m", "finetuned", "-p", "no:xdist", "--record", "--requests-to", "out")
    assert run.exit_code == 1
    assert "chats.tuned: 6 requests not written:" in run.output, run.output
    run = tuned.run("evals", "-m", "finetuned", "-p", "no:xdist", "--record", "--answers-from", "answers.jsonl")
    assert run.exit_code == 1
    assert "job.yaml: there is no such recording" in run.output, run.output
    assert tuned.api.requests == []


def dialogue_of(request: dict) -> str:  # type: ignore[type-arg]
    return str(request["body"]["messages"][-1]["content"]).split("\n\n", 1)[1].strip()
