"""Any metric, any prompt, any script in one suite: recorded and replayed in a foreign repository, also from the wheel."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import evaltape
from tests.support.installed import Installed
from tests.support.project import Run, run_forked
from tests.support.server import ApiServer

SUITE = """
[dataset]
path = "talks.json"
fields = { id = "番号", input = "対話", reference = ["要約", "別の要約"] }
slices = ["話題"]
slice_min = 5

[prompt]
user = "一文で要約してください。\\n\\n{対話}"

[metrics]
rouge1 = { tokenizer = "unicode" }
chrf = {}
words = {}
names_kept = { function = "acme.metrics:names_kept" }

[models.plain]
model = "small"
base_url = "BASE_URL"
gates = { rouge1 = 0.9, chrf = 0.5, names_kept = 0.5 }
slice_gates = { rouge1 = 0.5 }

[models.shown]
model = "small"
base_url = "BASE_URL"
gates = { words = 20 }

[models.shown.prompt]
messages = [
  { role = "system", content = "話題は{話題}です。" },
  { role = "user", content = "太郎: おはよう。" },
  { role = "assistant", content = "太郎が挨拶する。" },
  { role = "user", content = "{対話}" },
]

[compare.examples-do-no-harm]
baseline = "plain"
candidate = "shown"
max_drop = { rouge1 = 0.02 }
inconclusive = "skip"
"""
METRICS = '''
import evaltape


def names_kept(sample: evaltape.Sample, answer: str) -> float:
    """Return the share of the speakers whom the answer names."""
    speakers = {line.partition(":")[0] for line in sample.input.splitlines()}
    return sum(name in answer for name in speakers) / len(speakers)
'''
ROWS = [
    {
        "番号": f"会話{n}",
        "対話": f"花子: 梨を{n}個買った。\n太郎: はい。",
        "要約": f"花子は梨を{n}個買った",
        "別の要約": "太郎が返事をする",
        "話題": "果物" if n % 2 else "買い物",
    }
    for n in range(12)
]
ROUGE1 = 2 * 9 / (9 + 10)
"""By hand, of the first line against the better reference: 花 子 梨 を 3 個 買 っ た are 9 of the 10 tokens of 花子は梨を3個買った."""


class Repository:
    """A repository of someone who has a suite of their own, and the wheel or the code of this repository."""

    def __init__(self, root: Path, installed: Installed | None, api: ApiServer) -> None:
        self.root, self.suite = root, root / "evals/suites/talks.toml"
        self._installed = installed
        (root / "acme").mkdir(parents=True)
        (root / "acme/metrics.py").write_text(METRICS)
        self.suite.parent.mkdir(parents=True)
        self.suite.write_text(SUITE.replace("BASE_URL", api.base_url))
        (root / "evals/suites/talks.json").write_text(json.dumps(ROWS, ensure_ascii=False))
        said = installed.run(root, "evaltape", "init") if installed else evaltape(root, "init")
        assert said.exit_code == 0

    def pytest(self, *words: str) -> Run:
        """Run the suite's tests."""
        words = ("evals", "--results", "results.json", *words)
        if self._installed:
            return self._installed.run(self.root, "pytest", *words)
        return run_forked(self.root, *words, environment={"COLUMNS": "120"})

    @property
    def results(self) -> Any:
        """What the last run's results file says of the suite."""
        return json.loads((self.root / "results.json").read_text())["suites"]["talks"]


@pytest.mark.parametrize(("from_wheel", "recording", "replaying"), [(True, "-n2", "-pno:xdist"), (False, "-pno:xdist", "-n2")])
def test_what_is_recorded_in_a_foreign_repository_is_replayed_with_the_same_scores(
    request: pytest.FixtureRequest, tmp_path: Path, api: ApiServer, from_wheel: bool, recording: str, replaying: str
) -> None:
    repository = Repository(tmp_path / "theirs", request.getfixturevalue("installed") if from_wheel else None, api)
    run = repository.pytest(recording, "--record", "--snapshot-update")
    run.assert_outcomes(passed=24 + 4 + 1 + 2, skipped=1)  # Samples, gates, a slice gate, accepted scores; the comparison.
    assert api.answered == 24
    assert_as_computed_by_hand(repository.results)
    recorded = repository.results

    run = repository.pytest(replaying, "-rs")
    run.assert_outcomes(passed=31, skipped=1)
    assert run.exit_code == 0 and api.answered == 24
    assert repository.results["mode"] == "replay"
    assert what_was_found(repository.results) == what_was_found(recorded)
    assert "inconclusive: examples-do-no-harm rouge1: shown less plain" in run.output
    assert "lost most" not in run.output  # Both models answer the same.

    repository.suite.write_text(
        repository.suite.read_text().replace("slice_gates = { rouge1 = 0.5 }", "slice_gates = { chrf = 1 }")
    )
    run = repository.pytest(replaying, "-k", "test_slices")
    run.assert_outcomes(failed=1, deselected=31)
    assert "2 slices wholly under slice gate 1: plain chrf: 話題 買い物 0." in run.output


def assert_as_computed_by_hand(results: Any) -> None:
    """Scores, slices, prompts and references are those of the suite."""
    plain, shown = results["models"]["plain"], results["models"]["shown"]
    for model in (plain, shown):
        assert model["scores"]["rouge1"]["mean"] == pytest.approx(ROUGE1)
        assert model["scores"]["names_kept"]["mean"] == 0.5
        assert model["failed"] == 0 and model["served"] == "small"
    assert {value: each["samples"] for value, each in plain["slices"]["話題"].items()} == {"買い物": 6, "果物": 6}
    assert all(gate["passed"] for gate in (*plain["gates"].values(), *shown["gates"].values()))
    comparison = results["comparisons"]["examples-do-no-harm"]["rouge1"]
    assert (comparison["verdict"], comparison["passed"]) == ("inconclusive", None)
    first = results["predictions"][0]
    assert (first["sample"], first["prediction"]) == ("会話0", "花子: 梨を0個買った。")
    assert first["references"] == ["花子は梨を0個買った", "太郎が返事をする"]
    assert first["chrf"] == pytest.approx(chrf(first["prediction"], first["references"]))


def what_was_found(results: Any) -> Any:
    """Return what a replay has in common with the recording: all but how it came about and what was accepted before."""
    models = {key: {name: model[name] for name in model if name != "accepted"} for key, model in results["models"].items()}
    return {**results, "mode": "", "models": models}


def chrf(answer: str, references: list[str]) -> float:
    """Return sacrebleu's score, from 0 to 1."""
    from sacrebleu import sentence_chrf

    return float(sentence_chrf(answer, references).score) / 100
