"""The scores of the first lines of many samples are computed once, and kept while samples and metrics are the same."""

import json

import pytest

from tests.support.project import Project


@pytest.fixture
def kept(recorded: Project) -> Project:
    """A recorded project, in which six samples are many."""
    recorded.set_waits("hooks.snapshots", KEPT_FROM=6)
    return recorded


def first_lines(project: Project, *words: str) -> float:
    """Run the tests; return ROUGE-1 of the first lines."""
    [computed] = project.results(*words)["computed"].values()
    return float(computed["scores"]["rouge1"]["mean"])


def test_they_are_computed_once_while_samples_and_metrics_stay(kept: Project, workers: str) -> None:
    path = kept.root / ".pytest_cache/v/evaltape/first-lines/chats"
    computed = first_lines(kept, workers)
    written = json.loads(path.read_text())
    assert len(written["scores"]) == 6
    path.write_text(json.dumps({**written, "scores": [[0.25] * 3] * 6}))
    assert first_lines(kept, workers) == 0.25
    assert first_lines(kept, workers, "-p no:cacheprovider") == computed

    kept.extend_suite("\n[metrics]\nrouge1 = { stemmer = true }\n")
    stemmed = first_lines(kept, workers)
    assert stemmed != 0.25
    assert [row for [row] in json.loads(path.read_text())["scores"]] != [0.25] * 6


def test_a_tokenizer_of_the_users_own_is_asked_each_time(kept: Project) -> None:
    (kept.root / "words.py").write_text("def split(text):\n    return text.split()\n")
    kept.extend_suite('\n[metrics]\nrouge1 = { tokenizer = "words:split" }\n')
    first_lines(kept)
    assert not (kept.root / ".pytest_cache/v/evaltape").exists()
