"""docs/migrating.md: its suites are read as they stand, and its way to outlive a model is walked through."""

import re
import textwrap
from pathlib import Path

import pytest
from evaltape.suite.reader import load_suite

from tests.support.forked import REPOSITORY
from tests.support.server import ApiServer
from tests.support.tuning import TuningProject

PAGE = (REPOSITORY / "docs/migrating.md").read_text(encoding="utf-8")
SUITES = {
    name: textwrap.dedent(text)
    for name, text in re.findall(r"```toml\n *# evals/suites/(\w+)\.toml\n(.*?) *```", PAGE, re.DOTALL)
}


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_of_the_page_is_read_as_it_stands(tmp_path: Path, name: str) -> None:
    file = tmp_path / f"{name}.toml"
    file.write_text(SUITES[name])
    suite = load_suite(file)
    assert suite.models
    assert name == "teacher" or suite.comparisons


def test_there_are_as_many_suites_as_steps_that_need_one() -> None:
    assert list(SUITES) == ["successor", "moved", "teacher", "student"]


def test_every_link_of_the_page_leads_to_a_heading() -> None:
    hosts = (REPOSITORY / "docs/hosts.md").read_text(encoding="utf-8")
    slugs = {
        re.sub(r"[^a-z0-9 -]", "", line.strip("# ").lower()).replace(" ", "-")
        for line in hosts.split("\n")
        if line.startswith("## ")
    }
    anchors = re.findall(r"hosts\.md#([a-z-]+)", PAGE)
    assert anchors
    assert set(anchors) <= slugs
    for target in re.findall(r"\]\(([a-z-]+\.md)", PAGE):
        assert (REPOSITORY / "docs" / target).exists(), target


def test_a_student_tuned_on_recorded_answers_is_gated_against_the_frozen_recording(
    tuning: TuningProject, api: ApiServer
) -> None:
    """From the teacher's recording to a replay without the teacher, its host or a key."""
    teacher = "gpt-4o-mini-2024-07-18"
    api.answers[teacher] = lambda prompt: "A short summary: " + prompt.strip().split("\n")[-1]
    rows = [row for row in tuning.data.read_text().split("\n") if row]
    tuning.data.write_text(
        "\n".join(rows + [row.replace('"id": "t', '"id": "u').replace(": ", ":  ", 1) for row in rows]) + "\n"
    )
    (tuning.suite).unlink()
    for name in ("teacher", "student"):
        text = SUITES[name].replace("../data/chats", "../data/talks").replace("http://127.0.0.1:8000/v1", tuning.base_url)
        text = text.replace(f'model = "{teacher}"', f'model = "{teacher}"\nbase_url = "{tuning.base_url}"')
        text = text.replace("hyperparameters", "poll_seconds = 0.05\nhyperparameters")
        tuning.suite.with_name(f"{name}.toml").write_text(text)
    suites = [f"--suite={tuning.suite.with_name(f'{name}.toml')}" for name in ("teacher", "student")]
    run = tuning.run("evals", "-m baseline", "-k", "test_sample", "--record", "-p no:xdist", *suites)
    assert run.exit_code == 0, run.output
    # The student answers with the references, so it loses nothing to its teacher.
    run = tuning.run("evals", "-m finetuned", "-k", "not test_scores", "--record", "-p no:xdist", suites[1])
    assert run.exit_code == 0, run.output
    (order,) = api.asked("/fine_tuning/jobs")
    upload = api.tuning.files[order.json["training_file"]][1].decode()
    assert upload.count("A short summary: ") == 12
    api.stop()
    run = tuning.run("evals", "-k", "test_compare or test_job", "-p no:xdist", suites[1])
    assert (run.exit_code, run.outcomes["passed"]) == (0, 2), run.output
