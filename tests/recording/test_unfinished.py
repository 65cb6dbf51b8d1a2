"""A fresh recording that is cut short: nothing is deleted before its replacement is whole, and what is left is known."""

import json
import math
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from evaltape.errors import RecordingError, UserError
from evaltape.recording import cassettes
from evaltape.recording.cassettes import Exchange
from evaltape.recording.model_calls import call_of
from evaltape.recording.unfinished import Unfinished, cassette_name, read_unfinished
from evaltape.samples.sample import Sample
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.support.project import ROWS, Project, Run, wait_for
from tests.support.recording import Watched, record_here, sample_call
from tests.support.server import ApiServer
from tests.support.tuning import TuningProject

IDS = [row["id"] for row in ROWS]
ANOTHER = "Another answer."


def record(project: Project, *args: str) -> Run:
    return project.run("evals", "-m", "baseline", "-k", "test_sample", *args)


def answer_anew(api: ApiServer) -> None:
    api.forget()
    api.answers["small-2026-01-01"] = lambda prompt: ANOTHER


def left(project: Project) -> list[str]:
    """The samples that a fresh recording has still to ask for."""
    unfinished = read_unfinished(project.cassettes, "small")
    return sorted(unfinished.still_to_come()) if unfinished else []


def replaced(project: Project) -> list[str]:
    return [name for name, text in project.recorded().items() if ANOTHER in text]


# ---------------------------------------------------------------- what is deleted, and when


def test_an_api_that_is_down_costs_no_recording(recorded: Project, api: ApiServer) -> None:
    before = recorded.recorded()
    recorded.edit_suite('path = "../data/talks.jsonl"', 'path = "../data/talks.jsonl"\nsamples = 2')
    api.stop()
    recorded.set_waits("recorder.api.failures", FIRST_BACKOFF_S=0.02, UNREACHED_S=0.3)
    assert record(recorded, "--record").outcomes["failed"] == 2
    assert recorded.recorded() == before
    assert left(recorded) == ["t1", "t2"]


def test_what_a_fresh_recording_makes_obsolete_goes_once_it_is_complete(recorded: Project, api: ApiServer) -> None:
    recorded.edit_suite('path = "../data/talks.jsonl"', 'path = "../data/talks.jsonl"\nsamples = 2')
    api.fault("400", match="Mia:")
    assert list(record_here(recorded, "--record")) == ["t2"]
    assert sorted(recorded.recorded()) == IDS
    assert left(recorded) == ["t2"]
    assert record_here(recorded, "--record-missing") == {}
    assert sorted(recorded.recorded()) == ["t1", "t2"]
    assert not (recorded.cassettes / "small/unfinished.json").exists()


def test_a_narrow_recording_deletes_nothing(recorded: Project) -> None:
    recorded.write_rows(ROWS[:5])
    assert record_here(recorded, "--record", only=["t1", "t2"]) == {}
    assert sorted(recorded.recorded()) == IDS
    assert left(recorded) == []
    assert not (recorded.cassettes / "small/unfinished.json").exists()


def test_old_repeats_go_with_a_plain_recording_and_not_before(recorded: Project, api: ApiServer) -> None:
    for sample in ("t1", "t2"):
        for repeat in (2, 3):
            shutil.copy(recorded.cassette(sample), recorded.cassette(f"{sample}.repeat-{repeat}"))
    api.fault("400", match="Mia:")
    record_here(recorded, "--record")
    assert len(recorded.recorded()) == 10
    assert left(recorded) == ["t2"]
    record_here(recorded, "--record-missing")
    assert sorted(recorded.recorded()) == IDS


def test_repeats_that_are_asked_for_are_replaced_and_others_go(recorded: Project, api: ApiServer) -> None:
    for repeat in (2, 3, 4):
        shutil.copy(recorded.cassette("t1"), recorded.cassette(f"t1.repeat-{repeat}"))
    answer_anew(api)
    assert record_here(recorded, "--record", "--repeat", "2") == {}
    assert api.calls == 12
    assert sorted(recorded.recorded()) == sorted([*IDS, *(f"{name}.repeat-2" for name in IDS)])
    assert len(replaced(recorded)) == 12


# ---------------------------------------------------------------- what is still to come


@pytest.mark.parametrize("mode", ["-p no:xdist", "-n 2"])
def test_a_killed_recording_says_what_is_left_and_is_finished_for_exactly_that(
    recorded: Project, api: ApiServer, mode: str
) -> None:
    answer_anew(api)
    api.held_after = 2
    running = recorded.start("evals", "-m", "baseline", "-k", "test_sample", "--record", "--concurrency", "1", mode)
    wait_for(lambda: api.answered == 2 and api.in_flight)
    running.kill()
    running.process.join()
    kept = replaced(recorded)
    assert 1 <= len(kept) < 6
    assert left(recorded) == sorted(set(IDS) - set(kept))
    answer_anew(api)
    api.held_after = math.inf
    assert record(recorded, "--record-missing", "--report", "r.html").exit_code == 0
    assert api.calls == 6 - len(kept)
    assert replaced(recorded) == IDS
    assert not (recorded.cassettes / "small/unfinished.json").exists()


def test_an_interrupted_recording_writes_what_is_left(recorded: Project, api: ApiServer) -> None:
    answer_anew(api)
    api.held_after = 2
    running = recorded.start("evals", "-m", "baseline", "-k", "test_sample", "--record", "--concurrency", "1", "-p no:xdist")
    wait_for(lambda: api.answered == 2 and api.in_flight and ".." in running.output)
    os.killpg(running.pid, signal.SIGINT)
    wait_for(lambda: "Waiting for 1 call in flight" in running.output)
    api.held_after = math.inf
    running.wait()
    told = json.loads((recorded.cassettes / "small/unfinished.json").read_text())
    assert told["selected"] == 6
    assert sorted(told["to_come"]) == left(recorded) == sorted(set(IDS) - set(replaced(recorded)))


def test_samples_that_failed_are_still_to_come_though_their_old_recording_is_valid(
    recorded: Project, api: ApiServer, workers: str
) -> None:
    answer_anew(api)
    api.fault("400", match="Mia:")
    api.fault("404", match="Eva:")
    record(recorded, "--record", workers)
    assert left(recorded) == ["t2", "t5"]
    answer_anew(api)
    record(recorded, "--record-missing", workers)
    assert sorted(call.text.count("Mia:") + 2 * call.text.count("Eva:") for call in api.asked()) == [1, 2]
    assert replaced(recorded) == IDS


def test_answers_that_are_the_same_to_the_letter_count_as_asked_again(recorded: Project, api: ApiServer) -> None:
    before = recorded.recorded()
    assert record_here(recorded, "--record") == {}
    assert all(text != before[name] for name, text in recorded.recorded().items())
    assert left(recorded) == []


def test_a_file_that_would_be_the_old_one_to_the_byte_is_made_to_differ(tuning: TuningProject) -> None:
    model, sample, recordings = tuning.loaded()[0].models["small"], tuning.samples()[0], tuning.recordings()
    answered = {"choices": [{"message": {"content": "hi"}}]}
    asked = recordings.request(model, sample)
    exchange = Exchange("POST", f"{tuning.base_url}/chat/completions", asked, 200, answered, latency_s=0.5)
    path = recordings.cassette(model, sample)
    cassettes.write(path, [exchange])
    begun = Unfinished.begin(tuning.cassettes, "small", [(sample, 1)], tuning.samples())
    sample_call(Watched(), tuning, model, sample, unfinished=begun).keep(exchange)
    assert begun.still_to_come() == {}
    assert cassettes.read(path)[0].latency_s == pytest.approx(0.500001)


def test_a_further_recording_of_some_forgets_nothing_that_is_left(recorded: Project, api: ApiServer) -> None:
    answer_anew(api)
    api.fault("400", match="Mia:")
    api.fault("400", match="Eva:", times=2)
    record_here(recorded, "--record")
    record_here(recorded, "--record", only=["t1", "t5"])
    assert left(recorded) == ["t2", "t5"]
    record_here(recorded, "--record", only=["t5"])
    assert left(recorded) == ["t2"]


def test_what_the_budget_left_is_still_to_come(recorded: Project, api: ApiServer) -> None:
    recorded.edit_suite("temperature = 0", "temperature = 0\nmax_tokens = 9")
    recorded.extend_suite("price = { input = 1000, output = 1000 }\n")
    record_here(recorded, "--record", "--budget", "0.12")
    assert 0 < len(left(recorded)) == 6 - api.answered


def test_a_missing_one_that_needs_no_call_writes_nothing(recorded: Project, api: ApiServer) -> None:
    before = recorded.files()
    record(recorded, "--record-missing", "-p", "no:cacheprovider")
    assert recorded.files() == before


def test_a_tuned_model_is_unfinished_while_its_job_trains(tuned: Project, api: ApiServer) -> None:
    api.tuning.states = ("failed",)
    tuned.run("evals", "--record", "--retrain")
    assert read_unfinished(tuned.cassettes, "small") is None
    unfinished = read_unfinished(tuned.cassettes, "tuned")
    assert unfinished is not None
    assert (unfinished.selected, len(unfinished.still_to_come())) == (6, 6)


# ---------------------------------------------------------------- files that others wrote

DAMAGED = ["", "[]", "{}", '{"selected": 1}', '{"selected": 1, "to_come": {"../x": null}, "then_remove": {}}', '{"selected": 1, "to_come": {}, "then_remove": {"../../x": "00"}}', '{"selected": 1, "to_come": {"a": 1}, "then_remove": {}}', '{"selected": 1e999, "to_come": {}, "then_remove": {}}', "[" * 100_000]  # fmt: skip


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "small").mkdir()
    (tmp_path / "small/unfinished.json").write_text(text)
    with pytest.raises(RecordingError, match=r"small/unfinished\.json: damaged"):
        read_unfinished(tmp_path, "small")


@pytest.mark.parametrize("option", ["--record", "--record-missing"])
def test_nothing_is_recorded_over_a_damaged_file(recorded: Project, api: ApiServer, option: str) -> None:
    (recorded.cassettes / "small/unfinished.json").write_text("{")
    with pytest.raises(UserError, match=r"cassettes/chats/small/unfinished\.json: damaged.* restore it, or delete it"):
        record_here(recorded, option)
    assert api.calls == 0


def test_what_is_to_be_removed_stays_if_it_is_another_file_by_then(tmp_path: Path) -> None:
    gone, job = Sample("gone", "", ("",)), "job"
    for name in ("gone", job, "kept", "kept.repeat-2"):
        cassettes.write_text(tmp_path / f"small/{name}.yaml", name)
    kept = Sample("kept", "", ("",))
    begun = Unfinished.begin(tmp_path, "small", [(kept, 1)], [kept])
    assert set(begun.then_remove) == {"gone", "kept.repeat-2"}
    (tmp_path / "small/kept.yaml").write_text("new")
    (tmp_path / "small/kept.repeat-2.yaml").write_text("recorded since")
    begun.finish([kept, gone])
    assert sorted(path.stem for path in (tmp_path / "small").iterdir()) == ["gone", "job", "kept", "kept.repeat-2"]


# ---------------------------------------------------------------- two suites of one name


def other_suite(project: Project) -> Path:
    path = project.root / "other/chats.toml"
    path.parent.mkdir()
    path.write_text(
        project.suite.read_text().replace("../data", "../evals/data").replace("[dataset]", "[dataset]\nsamples = 2")
    )
    return path


@pytest.mark.parametrize("option", ["--record", "--record-missing"])
def test_a_second_suite_of_the_same_name_does_not_touch_the_first_one_s_recordings(
    recorded: Project, api: ApiServer, option: str
) -> None:
    other_suite(recorded)
    before = {name: text for name, text in recorded.files().items() if name.startswith("cassettes")}
    run = record(recorded, option, "--suite", "other/chats.toml")
    run.assert_refused(
        "cassettes/chats belongs to evals/suites/chats.toml: recording other/chats.toml would replace its samples",
        "Rename one of the two, or give this one another folder with --cassettes",
    )
    assert {name: text for name, text in recorded.files().items() if name.startswith("cassettes")} == before
    assert api.requests == []
    assert record(recorded, option, "--suite", "other/chats.toml", "--cassettes", "tapes").outcomes["passed"] == 2


def test_a_suite_that_was_moved_takes_its_recordings_along(recorded: Project, api: ApiServer) -> None:
    path = other_suite(recorded)
    path.write_text(recorded.suite.read_text().replace("../data", "../evals/data"))
    recorded.suite.unlink()
    run = record(recorded, "--record-missing", "--suite", "other/chats.toml")
    assert run.exit_code == 0, run.output
    assert api.calls == 0


# ---------------------------------------------------------------- whatever happens

SAMPLES = [Sample(name, "", ("",)) for name in ("a", "b", "c.d")]
CALLS = [(sample, repeat) for sample in SAMPLES for repeat in (1, 2)]


class Recordings(RuleBasedStateMachine):
    """Fresh recordings of some calls, answered in part, killed or ended, again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self.temporary.name)
        self.begun: Unfinished | None = None
        self.to_come: set[str] = set()
        self.written = 0

    @rule(
        selected=st.lists(st.sampled_from(SAMPLES), min_size=1, unique_by=lambda sample: sample.id), repeats=st.integers(1, 2)
    )
    def begin(self, selected: list[Sample], repeats: int) -> None:
        calls = [(sample, repeat) for sample in selected for repeat in range(1, repeats + 1)]
        self.begun = Unfinished.begin(self.folder, "m", calls, SAMPLES)
        names = {sample.name for sample in selected}
        self.to_come = {
            name for name in self.to_come if repeats == 2 or name.split(".repeat")[0] not in names or "repeat" not in name
        }
        self.to_come |= {cassette_name(*call) for call in calls}

    @rule(call=st.sampled_from(CALLS))
    def answer(self, call: tuple[Sample, int]) -> None:
        name = cassette_name(*call)
        self.written += 1
        cassettes.write_text(self.folder / f"m/{name}.yaml", f"{name} {self.written}")
        self.to_come.discard(name)

    @rule()
    def end(self) -> None:
        if self.begun is not None:
            self.begun.finish(SAMPLES)
        self.begun = None

    @rule()
    def killed(self) -> None:
        self.begun = None

    def teardown(self) -> None:
        self.temporary.cleanup()

    @invariant()
    def what_is_left_is_known(self) -> None:
        unfinished = read_unfinished(self.folder, "m")
        found = set(unfinished.still_to_come()) if unfinished else set()
        assert found == self.to_come


TestWhateverIsCutShort = Recordings.TestCase
TestWhateverIsCutShort.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)


@given(st.text(min_size=1), st.integers(1, 9))
def test_the_name_of_a_cassette_leads_back_to_its_call(sample_id: str, repeat: int) -> None:
    sample = Sample(sample_id, "", ("",))
    name = cassette_name(sample, repeat)
    unfinished = Unfinished(Path("nowhere"), 1, {name: None}, {})
    assert list(map(call_of, unfinished.still_to_come())) == [(sample.name, repeat)]
