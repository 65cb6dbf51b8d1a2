"""`--estimate`: what a recording would ask and cost at most, before anything is called."""

import pytest
from evaltape.errors import UserError
from evaltape.suite.cost import OVERHEAD_TOKENS, counter_of

from tests.support.options import estimate_of, settings_of
from tests.support.project import ROWS, Project
from tests.support.server import ApiServer
from tests.support.tuning import TRAINING, TuningProject

PRICE = "price = { input = 1.0, output = 2.0 }\n"
TURNS = ["Summarise this conversation.\n\n" + row["dialogue"] for row in ROWS]
# The prompt's text ends in a line break, as the suite has it.
BYTES = sum(len(turn.encode()) + 1 + OVERHEAD_TOKENS for turn in TURNS)
FAKE_TIKTOKEN = """
from tiktoken import load

class Encoding:
    def encode(self, text, disallowed_special=None):
        return text.split()

def encoding_for_model(name):
    if name != "small-2026-01-01":
        raise KeyError(name)
    FETCH
    return Encoding()
"""


def estimate(project: Project, *args: str) -> list[str]:
    """The lines of an estimate."""
    run = project.run("evals", "--estimate", *args)
    assert run.exit_code == 0, run.output
    shown = run.output[run.output.index("= estimate: chats =") :].split("\n\n")[0]
    return shown.splitlines()[1:]


def test_calls_tokens_and_an_upper_bound_before_anything_is_recorded(project: Project, api: ApiServer, workers: str) -> None:
    project.edit_suite("temperature = 0", "temperature = 0\nmax_completion_tokens = 50")
    project.extend_suite(PRICE)
    before = project.files()
    lines = estimate(project, workers)
    assert [line.split() for line in lines[:2]] == [
        ["--record", "calls", "prompt", "tokens", "answer", "tokens", "at", "most"],
        ["small", "6", str(BYTES), "300", f"${(BYTES + 2 * 300) / 1e6:.4f}"],
    ]
    assert lines[2] == f"At most ${(BYTES + 2 * 300) / 1e6:.4f}."
    assert api.requests == []
    assert {name: text for name, text in project.files().items() if ".pytest_cache" not in name} == before
    assert max(map(len, lines)) <= 80, lines


def test_the_bound_holds(project: Project, api: ApiServer) -> None:
    project.edit_suite("temperature = 0", "temperature = 0\nmax_completion_tokens = 50")
    project.extend_suite("price = { input = 1000.0, output = 2000.0 }\n")
    most = float(estimate_of(project)[2].removeprefix("At most $").removesuffix("."))
    assert 0 < project.results("--record")["models"]["small"]["cost_usd"] < most


def test_without_a_price_it_says_so(project: Project) -> None:
    lines = estimate_of(project)
    assert lines[1].endswith("no price")
    assert "No price: set price = { input = ..., output = ... } under the model" in "\n".join(lines)
    assert "4,096 answer tokens are assumed for small: no max_completion_tokens is set." in lines


def test_only_what_is_selected_is_counted(project: Project) -> None:
    assert estimate(project, "-k", "small-t1 or small-t2")[1].split()[:2] == ["small", "2"]
    assert estimate(project, "-m", "gate")[0] == "--record would call nothing: no sample test is selected."


def test_only_what_is_missing_is_counted(recorded: Project, api: ApiServer) -> None:
    assert estimate_of(recorded, "--record-missing")[0] == "--record-missing would call nothing: nothing is missing."
    recorded.cassette("t3").unlink()
    assert estimate_of(recorded, "--record-missing")[1].split()[:2] == ["small", "1"]
    assert estimate_of(recorded, "--record")[1].split()[:2] == ["small", "6"]
    assert api.requests == []


def test_repeats_are_counted(recorded: Project) -> None:
    assert estimate_of(recorded, "--record", "--repeat", "3")[1].split()[:2] == ["small", "18"]
    assert estimate_of(recorded, "--record-missing", "--repeat", "3")[1].split()[:2] == ["small", "12"]


def test_a_job_is_counted_by_its_training_file(tuning: TuningProject, api: ApiServer) -> None:
    tuning.edit_suite("poll_seconds = 0.1", "poll_seconds = 0.1\n" + PRICE.replace("}", ", training = 3.0 }").strip())
    turns = [f"Summarise this conversation.\n\n{row['dialogue']}\n{row['summary']}" for row in TRAINING]
    tokens = sum(len(text.encode()) + 2 * OVERHEAD_TOKENS for text in turns)
    shown = "\n".join(estimate_of(tuning))
    assert f"  job tuned: 12 rows x 1 epoch, {tokens:,} tokens, ${tokens * 3 / 1e6:.4f}\n" in shown
    assert "A job costs nothing where the API has one of the same data, base and settings." in shown
    assert "without small.\n" in shown
    assert api.requests == []


def test_a_recorded_job_is_not_paid_for_again(tuned: TuningProject) -> None:
    assert not any("job" in line for line in estimate_of(tuned, "--record-missing"))
    assert any("  job tuned: " in line for line in estimate_of(tuned, "--record"))


def test_epochs_that_the_api_chooses_are_assumed_and_that_is_said(tuning: TuningProject) -> None:
    tuning.edit_suite("n_epochs = 1", 'n_epochs = "auto"')
    shown = "\n".join(estimate_of(tuning))
    assert "12 rows x 25 epochs (assumed), " in shown
    assert "no price for training" in shown
    assert "Where n_epochs is not set, the most that an API chooses is assumed." in shown


def test_training_data_that_is_not_at_hand_leaves_the_rest(tuning: TuningProject) -> None:
    (tuning.splits / "train.jsonl").unlink()
    shown = "\n".join(estimate_of(tuning))
    assert "job tuned: not estimated: " in shown
    assert "small                         6" in shown


def test_tokens_are_counted_by_tiktoken_where_it_is_at_hand(project: Project) -> None:
    package = project.root / "tiktoken"
    package.mkdir()
    (package / "load.py").write_text("def read_file(path): raise SystemExit('the network was asked')\n")
    (package / "__init__.py").write_text(FAKE_TIKTOKEN.replace("FETCH", "pass"))
    project.extend_suite("[models.other]\nmodel = 'other'\nbase_url = 'BASE_URL'\n")
    lines = estimate(project)
    words = sum(len(turn.split()) + OVERHEAD_TOKENS for turn in TURNS)
    assert lines[1].split()[:3] == ["small", "6", str(words)]
    assert lines[2].split()[:3] == ["other", "6", str(BYTES)]
    assert "Prompt tokens are counted by tiktoken, but for other." in lines
    (package / "__init__.py").write_text(FAKE_TIKTOKEN.replace("FETCH", "load.read_file('https://host/vocabulary')"))
    assert estimate(project)[1].split()[:3] == ["small", "6", str(BYTES)]


def test_a_model_tiktoken_does_not_know_is_bounded_by_bytes() -> None:
    assert counter_of("no-such-model") is None


def test_a_mistake_in_the_suite_is_told_as_ever(project: Project) -> None:
    project.edit_suite("[request]", "[requests]")
    project.run("evals", "--estimate").assert_refused("requests is not a key")


def test_options_that_make_no_sense_together(project: Project) -> None:
    with pytest.raises(UserError, match="use one of them"):
        settings_of(project.root, "evals", "--estimate", "--retiring")


@pytest.mark.parametrize("args", ["-p no:terminal", "-q", "-n 2 --dist loadfile", "-x", "--collect-only"])
def test_it_goes_with_other_options(project: Project, api: ApiServer, args: str) -> None:
    run = project.run("evals", "--estimate", args)
    assert run.exit_code == 0
    assert ("small                         6" in run.output) == (args != "--collect-only")
    assert api.requests == []
