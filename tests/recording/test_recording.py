"""Recording: which calls are made, which cassettes they leave, and that a replay of these needs nothing else."""

import json
import math
import shutil
from pathlib import Path

import pytest
import yaml

from tests.support.options import failures_of
from tests.support.project import ROUGE1, ROUGE2, ROUGEL, ROWS, Project, wait_for
from tests.support.recording import record_here
from tests.support.server import ApiServer

TESTS = Path(__file__).parents[1]
PROMPT = "Summarise this conversation.\n\n{}\n"


def go_offline(project: Project) -> Path:
    """Let runs with `-p offline` fail on any connection; the file that tells of them."""
    shutil.copy(TESTS / "support/offline.py", project.root / "offline.py")
    return project.root / "tried-to-connect.txt"


# ---------------------------------------------------------------- record, then replay


def test_a_recording_asks_each_sample_once_and_replays_without_the_network(
    project: Project, api: ApiServer, any_workers: str
) -> None:
    project.record(any_workers).assert_outcomes(passed=8)
    asked = sorted(call.json["messages"][0]["content"] for call in api.asked())
    assert asked == sorted(PROMPT.format(row["dialogue"]) for row in ROWS)
    assert {call.json["model"] for call in api.asked()} == {"small-2026-01-01"}
    assert {call.json["temperature"] for call in api.asked()} == {0}
    assert sorted(project.recorded()) == [row["id"] for row in ROWS]

    api.stop()
    tried = go_offline(project)
    run = project.run("evals", "-m", "baseline", "-p", "offline", any_workers)
    run.assert_outcomes(passed=8)
    assert not tried.exists(), tried.read_text()


def test_the_offline_plugin_would_tell_of_a_connection(project: Project) -> None:
    tried = go_offline(project)
    project.set_waits("recorder.api.failures", FIRST_BACKOFF_S=0.02, UNREACHED_S=0.3)
    project.patch("recorder", f"    sys.path.insert(0, {str(project.root)!r})\n    import offline\n")
    project.run("evals", "-m", "baseline", "--record", "-p", "offline", "-k", "t1", "--concurrency=1")
    assert "socket.connect" in tried.read_text()


def test_replay_imports_neither_datasets_nor_a_client(recorded: Project) -> None:
    heavy = ["datasets", "pandas", "pyarrow", "huggingface_hub", "openai", "httpx2", "requests", "vcr", "yaml"]
    # Where scikit-learn is installed, nltk imports it with pandas, whoever asks for a stem.
    hidden = "sys.modules['sklearn'] = None"
    code = f"{hidden}; code = pytest.main(sys.argv[1:]); print('imported:', sorted(set({heavy}) & set(sys.modules))); sys.exit(code)"
    run = recorded.run_in_new_interpreter("evals", "-m", "baseline", code=code)
    assert run.exit_code == 0, run.output
    assert "imported: []" in run.output


def test_scores_in_the_results_are_those_computed_by_hand(recorded: Project) -> None:
    results = recorded.results("-p no:xdist")
    scores = results["models"]["small"]["scores"]
    for metric, by_hand in (("rouge1", ROUGE1), ("rouge2", ROUGE2), ("rougeL", ROUGEL)):
        assert scores[metric]["mean"] == pytest.approx(sum(by_hand) / 6, rel=1e-12)
        told = [prediction[metric] for prediction in results["predictions"]]
        assert told == pytest.approx(by_hand, rel=1e-12)


def test_the_system_prompt_and_request_parameters_are_sent(project: Project, api: ApiServer) -> None:
    project.edit_suite("[request]\n", '[request]\nseed = 7\ntop_p = 0.5\nstop = ["END"]\n')
    project.edit_suite("[prompt]\n", '[prompt]\nsystem = "Answer in {tone}."\n')
    project.extend_suite('request = { temperature = "omit", reasoning_effort = "none" }\n')
    project.write_rows([{**row, "tone": "French"} for row in ROWS])
    project.record()
    (sent,) = {json.dumps({**call.json, "messages": call.json["messages"][:1]}) for call in api.asked()}
    assert json.loads(sent) == {
        "model": "small-2026-01-01",
        "messages": [{"role": "system", "content": "Answer in French."}],
        "seed": 7,
        "top_p": 0.5,
        "stop": ["END"],
        "reasoning_effort": "none",
    }


def test_the_key_is_sent_to_a_server_on_this_machine_only_where_the_suite_names_it(
    project: Project, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-session-key-0123456789")
    assert record_here(project, "--record", only=["t1"]) == {}
    project.extend_suite('api_key_env = "OPENAI_API_KEY"\n')
    assert record_here(project, "--record", only=["t1"]) == {}
    first, second = [call.headers.get("authorization") for call in api.asked()]
    assert (first, second) == (None, "Bearer sk-session-key-0123456789")


def test_the_default_address_is_that_of_the_environment(project: Project, api: ApiServer) -> None:
    project.edit_suite(f'base_url = "{project.base_url}"\n', "")
    run = project.run("evals", "-m", "baseline", "--record", "-k", "t1", environment={"OPENAI_BASE_URL": api.base_url})
    assert run.outcomes["passed"] == 1, run.output
    assert api.calls == 1


# ---------------------------------------------------------------- what is asked, and what is replaced


def test_record_missing_asks_only_for_what_is_missing(recorded: Project, api: ApiServer, workers: str) -> None:
    before = recorded.recorded()
    recorded.cassette("t2").unlink()
    recorded.cassette("t5").write_text("torn")
    run = recorded.run("evals", "-m", "baseline", "--record-missing", workers)
    run.assert_outcomes(passed=8)
    assert sorted(call.text.count("Mia:") + 2 * call.text.count("Eva:") for call in api.asked()) == [1, 2]
    after = recorded.recorded()
    assert {name: text for name, text in after.items() if name not in ("t2", "t5")} == {
        name: text for name, text in before.items() if name not in ("t2", "t5")
    }
    assert "torn" not in after["t5"]


def test_record_missing_with_nothing_missing_calls_nothing(recorded: Project, api: ApiServer) -> None:
    before = recorded.files()
    recorded.run("evals", "-m", "baseline", "--record-missing", "-p", "no:cacheprovider").assert_outcomes(passed=8)
    assert api.requests == []
    assert recorded.files() == before


def test_record_missing_asks_again_for_everything_once_the_prompt_changed(recorded: Project, api: ApiServer) -> None:
    recorded.edit_suite("Summarise this", "Sum up this")
    assert list(failures_of(recorded)) == [row["id"] for row in ROWS]
    assert record_here(recorded, "--record-missing") == {}
    assert api.calls == 6
    assert failures_of(recorded) == {}


def test_record_asks_only_what_is_selected(recorded: Project, api: ApiServer) -> None:
    before = recorded.recorded()
    api.answers["small-2026-01-01"] = lambda prompt: "Another answer."
    run = recorded.run("evals", "-m", "baseline", "--record", "-k", "t1 or t3")
    assert run.outcomes["passed"] == 2, run.output
    assert api.calls == 2
    changed = [name for name, text in recorded.recorded().items() if text != before[name]]
    assert changed == ["t1", "t3"]


def test_a_gate_alone_asks_for_nothing_and_reads_the_recordings(recorded: Project, api: ApiServer) -> None:
    run = recorded.run("evals", "-m", "baseline and gate", "--record")
    assert run.exit_code == 0, run.output
    assert api.calls == 0


def test_a_cassette_is_replaced_only_once_its_call_succeeded(recorded: Project, api: ApiServer, workers: str) -> None:
    before = recorded.recorded()
    api.answers["small-2026-01-01"] = lambda prompt: "Another answer."
    api.fault("400", match="Mia:")
    run = recorded.run("evals", "-m", "baseline", "--record", workers)
    assert "FAILED evals/test_baseline.py::test_sample[chats-small-t2]" in run.output
    after = recorded.recorded()
    assert after["t2"] == before["t2"]
    assert all("Another answer." in text for name, text in after.items() if name != "t2")


def test_record_removes_the_cassettes_of_samples_that_are_gone(recorded: Project) -> None:
    recorded.write_rows(ROWS[:5])
    recorded.edit_suite("[models.small]", '[models.other]\nmodel = "o"\nbase_url = "http://127.0.0.1:9/v1"\n[models.small]')
    other = recorded.cassette("t6", "other")
    other.parent.mkdir()
    shutil.copy(recorded.cassette("t6"), other)
    recorded.run("evals", "-m", "baseline", "--record", "-k", "small")
    assert sorted(recorded.recorded()) == ["t1", "t2", "t3", "t4", "t5"]
    assert other.exists()


def test_recordings_of_no_sample_or_model_are_listed(recorded: Project) -> None:
    recorded.write_rows(ROWS[:5])
    shutil.copytree(recorded.cassettes / "small", recorded.cassettes / "gone")
    run = recorded.run("evals", "-m", "baseline", "--record-missing", "-k", "test_sample")
    told = "7 recordings of no model or sample of the suite: cassettes/chats/gone/t1.yaml, "
    assert told in " ".join(run.output.split()), run.output
    run = recorded.run("evals", "-m", "baseline", "--record", "-k", "test_sample")
    assert "6 recordings of no model or sample" in " ".join(run.output.split())
    assert not recorded.cassette("t6").exists()
    assert recorded.cassette("t6", "gone").exists()


@pytest.mark.parametrize("most", [1, 3])
def test_no_more_calls_than_asked_for_are_in_flight_whatever_the_workers(project: Project, api: ApiServer, most: int) -> None:
    api.latency_s, api.held_after = 0.1, 0
    running = project.start("evals", "-m", "baseline", "--record", "--snapshot-update", "-n 2", "--concurrency", str(most))
    wait_for(lambda: api.in_flight == most)
    api.held_after = math.inf
    run = running.wait()
    assert run.exit_code == 0, run.output
    assert api.peak_in_flight == most
    assert api.calls == 6


def test_two_models_share_the_limit(project: Project, api: ApiServer) -> None:
    api.latency_s = 0.1
    project.extend_suite('[models.large]\nmodel = "large-1"\nbase_url = "BASE_URL"\n')
    assert record_here(project, "--record", "--concurrency", "4") == {}
    assert api.peak_in_flight == 4
    assert api.calls == 12


def test_ids_that_are_no_file_names_have_cassettes_and_tests_of_their_own(project: Project, api: ApiServer) -> None:
    ids = [
        "1/2",
        "1?2",
        "1-2",
        "100%",
        "../../up",
        "/etc/passwd",
        "ünï çødé 😀",
        "x" * 300,
        "x" * 300 + "y",
        "a\nb",
        "con",
        "[x]::y",
    ]
    rows = [{"id": name, "dialogue": f"Ann: I am {n}", "summary": f"I am {n}"} for n, name in enumerate(ids)]
    project.write_rows(rows)
    run = project.record("--junitxml=junit.xml")
    run.assert_outcomes(passed=14)
    assert api.calls == len(ids)
    assert len(project.recorded()) == len(ids)
    assert not (project.root.parent / "up.yaml").exists()
    for path in (project.cassettes / "small").iterdir():
        name = path.stem
        assert "[chats-small-" + name + "]" in (project.root / "junit.xml").read_text()
    results = project.results()
    assert [prediction["sample"] for prediction in results["predictions"]] == ids


def test_equal_inputs_under_different_ids_are_samples_of_their_own(project: Project, api: ApiServer) -> None:
    project.write_rows([{**ROWS[0], "id": "a"}, {**ROWS[0], "id": "b"}])
    assert record_here(project, "--record") == {}
    assert api.calls == 2
    assert sorted(project.recorded()) == ["a", "b"]


def test_a_renamed_model_has_no_recording(recorded: Project) -> None:
    recorded.edit_suite("[models.small]", "[models.tiny]")
    run = recorded.run("evals", "-m", "baseline")
    assert run.outcomes["failed"] == 8, run.output
    assert "cassettes/chats/tiny/t1.yaml: there is no such recording" in run.output


def test_a_reordered_data_set_is_told_and_not_asked_again_for_what_is_recorded(recorded: Project, api: ApiServer) -> None:
    recorded.write_rows(ROWS[::-1])
    recorded.run("evals", "-m", "baseline").assert_refused(
        "'../data/talks.jsonl' changed since it was recorded", "the order changed"
    )
    recorded.run("evals", "-m", "baseline", "--record-missing").assert_outcomes(passed=8)
    assert api.calls == 0


def test_cassettes_can_lie_elsewhere(project: Project, api: ApiServer) -> None:
    run = project.run("evals", "-m", "baseline", "--record", "-k", "t1", "--cassettes", "tapes")
    assert run.outcomes["passed"] == 1, run.output
    assert yaml.safe_load((project.root / "tapes/chats/small/t1.yaml").read_text())["version"] == 1
    assert not project.cassettes.exists()
    run = project.run("evals", "-m", "baseline", "-k", "t2", "--cassettes", "tapes")
    assert "Record it: pytest evals -m baseline --record-missing --cassettes tapes" in run.output


def test_a_collection_alone_records_nothing(project: Project, api: ApiServer) -> None:
    run = project.run("evals", "--record", "--collect-only", "-q")
    assert "test_sample[chats-small-t1]" in run.output
    assert api.requests == []
    assert run.exit_code == 0, run.output
    assert not project.cassettes.exists()
