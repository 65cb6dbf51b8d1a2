"""Verdicts are recorded as soon as there is an answer, asked again only where something changed, and replayed without a call."""

import json
import re
from pathlib import Path

import pytest
from evaltape.errors import UserError

from tests.support.judged import SUITE, JudgedProject, rows
from tests.support.options import estimate_of
from tests.support.recording import record_here
from tests.support.server import ApiServer
from tests.support.server.server import first_line

MODEL = """\
[prompt]
user = '''
Sum up.

{input}
'''

[models.small]
model = "small-1"
base_url = "BASE_URL"
gates = { faithful = 0.5 }

[judges.faithful]"""
COUNT = 12


def says(prompt: str) -> str:
    """A judge that is right: a summary with an even number of plates, or a reference, is true."""
    answer = prompt.partition("Summary: ")[2].strip()
    number = int(re.findall(r"bring (\d+)", prompt)[0])
    reference = f"Ann asks Bob whether he will bring {number} plates"
    plain = " ".join(answer.removeprefix("Here is a summary:").strip("“”\n ").split()).rstrip(".")
    return json.dumps(
        {"faithful": plain in (reference, f"Ann: Can you bring {number} plates?", f"Bob will bring {number} plates")}
    )


@pytest.fixture
def judged(tmp_path: Path, api: ApiServer) -> JudgedProject:
    """A project with a called model and a model from a file, both judged; nothing is recorded yet."""
    suite = SUITE.replace("[judges.faithful]", MODEL, 1).replace("samples = 20", "samples = 3")
    project = JudgedProject(tmp_path / "project", api.base_url, suite)
    project.write_rows(rows(COUNT))
    lines = [{"id": row["id"], "prediction": f"Bob will bring {n} plates."} for n, row in enumerate(rows(COUNT))]
    (project.data.parent / "old.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    api.answers["judge-1"] = says
    api.answers["small-1"] = first_line
    return project


def asked(api: ApiServer) -> dict[str, int]:
    """How often each model was asked since the last look."""
    models = [call.json["model"] for call in api.asked()]
    api.forget()
    return {model: models.count(model) for model in sorted(set(models))}


def record(project: JudgedProject, *options: str) -> str:
    run = project.run("evals", "--deselect", "evals/test_baseline.py::test_scores", *options)
    assert run.exit_code == 0, run.output
    return run.output


def test_what_is_asked_again(judged: JudgedProject, api: ApiServer) -> None:
    record(judged, "--record", "-p", "no:xdist")
    first = asked(api)
    exam = first["judge-1"] - 2 * COUNT  # An answer of each model to each chat has a verdict; the rest is the exam.
    assert first["small-1"] == COUNT
    assert exam == len(list((judged.cassettes / "faithful/exam").glob("*.yaml"))) > 15
    assert len(list((judged.cassettes / "small/faithful").glob("*.yaml"))) == COUNT
    assert not list(judged.cassettes.rglob("unfinished.json"))

    # Replay opens no socket; nothing is missing.
    assert "All 3 gates hold; 1 of 1 judge passed its exam" in record(judged, "-p", "no:xdist")
    record(judged, "--record-missing", "-p", "no:xdist")
    assert asked(api) == {}

    # A changed prompt of the model asks for its answers and their verdicts; the exam, and the other model, stay.
    judged.edit_suite("Sum up.", "Sum it up.")
    api.answers["small-1"] = lambda prompt: first_line(prompt) + " "
    record(judged, "--record-missing", "-n", "2")
    assert asked(api) == {"judge-1": COUNT, "small-1": COUNT}

    # A changed prompt of the judge asks for all verdicts, and for no answer.
    judged.edit_suite("Summary: {answer}", "A summary to judge.\n\nSummary: {answer}")
    record(judged, "--record-missing", "-p", "no:xdist")
    assert asked(api) == {"judge-1": 2 * COUNT + exam}

    # A fresh recording asks for answers and verdicts anew; the exam is asked again only if the judge changed.
    record(judged, "--record", "-p", "no:xdist")
    assert asked(api) == {"judge-1": 2 * COUNT, "small-1": COUNT}


def test_a_verdict_that_cant_be_had_leaves_its_answer_unscored(judged: JudgedProject, api: ApiServer) -> None:
    api.fault("400", match="Can you bring 3 plates?\\nBob: I will bring 3 plates.\\n\\nSummary: Ann: Can", times=1)
    run = judged.run("evals", "--record", "-p", "no:xdist", "-k", "small or judge")
    assert run.exit_code == 1
    said = " ".join(run.output.split())
    assert "the judge faithful gave no verdict: HTTP 400" in said
    assert "1 not scored by faithful" in said
    assert "recording unfinished: 1 of 12 samples still to come" in said
    assert (judged.cassettes / "small/t003.yaml").exists()
    assert list(judged.cassettes.rglob("unfinished.json")) == [judged.cassettes / "small/faithful/unfinished.json"]
    api.forget()
    record(judged, "--record-missing", "-p", "no:xdist", "-k", "small or judge")
    assert asked(api) == {"judge-1": 1}
    assert not list(judged.cassettes.rglob("unfinished.json"))


def test_repeats_are_judged_once_and_the_first_answer_as_often_as_it_was_asked(judged: JudgedProject, api: ApiServer) -> None:
    turns: dict[str, int] = {}

    def fickle(prompt: str) -> str:
        turns[prompt] = turns.get(prompt, 0) + 1
        return says(prompt) if turns[prompt] < 3 else '{"faithful": false}'

    api.answers["judge-1"] = fickle
    run = judged.run("evals/test_baseline.py", "--record", "--repeat", "3", "-p", "no:xdist", "-k", "test_sample and small")
    assert run.exit_code == 0, run.output
    names = sorted(path.stem for path in (judged.cassettes / "small/faithful").glob("t000*"))
    assert names == ["t000", "t000.again-2", "t000.again-3", "t000.repeat-2", "t000.repeat-3"]
    assert asked(api) == {"judge-1": 5 * COUNT, "small-1": 3 * COUNT}
    assert "of repeated verdicts flip" in run.output
    replayed = judged.run("evals/test_baseline.py", "-p", "no:xdist", "-k", "test_sample and small")
    assert re.search(r"[1-9][\d.]+% of repeated verdicts flip", replayed.output)


def test_a_budget_is_refused_unless_the_judge_has_a_bound_on_its_answers(judged: JudgedProject, api: ApiServer) -> None:
    judged.edit_suite('model = "judge-1"', 'model = "judge-1"\nprice = { input = 1.0, output = 1.0 }')
    told = "[judges.faithful] request sets no bound on the length of an answer, so --budget 1 can't bound what it costs"
    with pytest.raises(UserError) as refused:
        record_here(judged, "--record", "--budget", "1")
    assert told in str(refused.value)
    assert api.calls == 0


def test_estimates_and_mutants(judged: JudgedProject, api: ApiServer) -> None:
    judged.edit_suite(
        'model = "judge-1"',
        'model = "judge-1"\nrequest = { max_completion_tokens = 10 }\nprice = { input = 1.0, output = 1.0 }',
    )
    judged.extend_suite('\n[mutants]\noperators = ["swap_names", "negate", "quotes"]\nnoticed_at = 0.5\n')
    judged.write_labels(
        [{"id": "t001", "answer": "Bob will bring 1 plates.", "label": True}, {"id": "t002", "answer": "a", "label": False}]
    )
    estimated = judged.run("evals", "--record", "--estimate").output
    row = re.search(r"faithful +(\d+) +[\d,]+ +(\d+) +\$", estimated)
    assert row is not None, estimated
    told = "faithful: 2 labels, 1 of them true; about 62 labels of a class prove that a judge is right on 80%"
    assert told in " ".join(estimated.split())
    assert api.calls == 0
    record(judged, "--record", "-p", "no:xdist")
    assert asked(api)["judge-1"] == int(row[1])
    assert int(row[2]) == 10 * int(row[1])
    assert "would call nothing" in "\n".join(estimate_of(judged, "--record-missing"))

    # Without recorded verdicts on mutants nobody knows what the judge would notice.
    said = " ".join(judged.run("evals", "--mutate").output.split())
    missing = re.search(
        r"faithful: not judged: (\d+) of \1 verdicts on mutants are not recorded \(pytest --mutate --record", said
    )
    assert missing is not None, said
    # What is selected is judged, and nothing else is paid for.
    priced = [judged.run("evals", *words, "--mutate", "--record", "--estimate").output for words in ((), ("-k", "chats-old"))]
    assert api.calls == 0
    both, old = (int(count) for text in priced for count in re.findall(r"^  faithful +(\d+) ", text, re.MULTILINE))
    assert 0 < old < both
    mutated = judged.run("evals", "-k", "chats-old", "--mutate", "--record", "--results", str(judged.root / "out.json"))
    assert asked(api) == {"judge-1": old}
    assert "not judged" not in mutated.output
    found = json.loads((judged.root / "out.json").read_text())["suites"]["chats"]["mutants"]["old"]
    assert found["negate"] == {"applies_to": COUNT, "rouge1": None, "faithful": 1.0}
    assert found["quotes"]["faithful"] is None
    judged.run("evals", "--mutate")
    assert api.calls == 0
