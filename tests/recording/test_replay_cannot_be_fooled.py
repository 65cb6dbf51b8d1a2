"""Whatever is edited after a recording, replay fails or gives the score of what is there now; never the old verdict."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from evaltape.errors import UserError
from evaltape.metrics.metric import build_metrics, score_answer
from evaltape.recording import cassettes
from evaltape.recording.cassettes import Exchange
from evaltape.recording.folder import Recordings
from evaltape.samples.frozen import promote
from evaltape.samples.sample import Answer, Sample
from evaltape.samples.suite_samples import replay_samples, stage_samples
from evaltape.scoring.prediction import Prediction
from evaltape.suite.commands import Advice
from evaltape.suite.definition import Suite
from evaltape.suite.reader import load_suite
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.scoring.test_rouge import score
from tests.support.project import ROWS

CHARACTERS = st.characters(exclude_categories=("Cs",)) | st.sampled_from("{}\"'\\ \n\t0aA")
SUITE: dict[str, Any] = {
    "dataset": {"path": "talks.jsonl"},
    "prompt": {"system": "You are brief.", "user": "Summarise this:\n\n{input}\n"},
    "request": {"temperature": 0.2, "max_completion_tokens": 64, "reasoning_effort": "none"},
    "models": {"small": {"model": "small-1"}},
}
Edit = Callable[[dict[str, Any]], dict[str, Any]]


def write_suite(folder: Path, tables: dict[str, Any]) -> Path:
    lines = []
    for name, table in {k: v for k, v in tables.items() if k != "models"}.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    lines += ["[models.small]", f"model = {json.dumps(tables['models']['small']['model'])}"]
    (folder / "chats.toml").write_text("\n".join(lines), encoding="utf-8")
    return folder / "chats.toml"


def write_rows(folder: Path, rows: list[dict[str, str]]) -> None:
    (folder / "talks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def replay(folder: Path) -> list[Prediction] | str:
    """The predictions of all samples, or the message that refuses all."""
    try:
        suite = load_suite(folder / "chats.toml")
        samples, _ = replay_samples(suite, folder / "frozen", "pytest --record-missing")
        recordings = _recordings(folder)
        return [_scored(suite, sample, recordings.answer(suite.models["small"], sample)) for sample in samples]
    except UserError as refused:
        return str(refused)


def _scored(suite: Suite, sample: Sample, answer: Answer) -> Prediction:
    if answer.failure is not None:
        return Prediction(suite.models["small"], sample, answer)
    metrics = build_metrics(suite.metrics, "[metrics]", suite.file.parent)
    scores, _ = score_answer(metrics, sample, answer)
    return Prediction(suite.models["small"], sample, answer, scores)


def _recordings(folder: Path) -> Recordings:
    suite = load_suite(folder / "chats.toml")
    return Recordings(folder / "frozen", suite, lambda model: model.served, lambda model: Advice("pytest --record"))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a suite, its samples, and a cassette of each."""
    folder = tmp_path_factory.mktemp("recording")
    write_rows(folder, ROWS)
    suite = load_suite(write_suite(folder, SUITE))
    recordings = _recordings(folder)
    samples, _ = stage_samples(suite, folder / "frozen", fresh=True)
    promote(folder / "frozen")
    for sample in samples:
        asked = recordings.request(suite.models["small"], sample)
        answered = {"model": "small-1", "choices": [{"message": {"content": sample.input.split("\n")[0]}}]}
        exchange = Exchange("POST", "http://h/v1/chat/completions", asked, 200, answered)
        cassettes.write(recordings.cassette(suite.models["small"], sample), [exchange])
    found = replay(folder)
    assert [prediction.answered for prediction in found if isinstance(prediction, Prediction)] == [True] * 6
    return folder


@pytest.fixture
def edited(recording: Path, tmp_path: Path) -> Path:
    """A copy of it to edit, one for all examples of a test: each edits the same file anew."""
    return Path(shutil.copytree(recording, tmp_path / "edited"))


EACH_EXAMPLE_REWRITES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)


@st.composite
def edits(draw: st.DrawFn, text: str) -> str:
    """The text with one character changed, put in or left out."""
    place = draw(st.integers(0, len(text)))
    kept = draw(st.integers(0, 1))
    changed = text[:place] + draw(st.just("") | CHARACTERS) + text[place + kept :]
    assume(changed != text)
    return changed


def assert_none_answered(found: list[Prediction] | str) -> None:
    if isinstance(found, str):
        return
    for prediction in found:
        assert not prediction.answered
        assert prediction.scores == {}
        assert "Record it: pytest --record" in str(prediction.failure)


# ---------------------------------------------------------------- the suite


@pytest.mark.parametrize("part", ["user", "system"])
@EACH_EXAMPLE_REWRITES
@given(data=st.data())
def test_one_character_of_the_prompt(edited: Path, part: str, data: st.DataObject) -> None:
    changed = data.draw(edits(SUITE["prompt"][part]))
    assume("{input:}" not in changed)  # Another spelling of the same prompt.
    write_suite(edited, {**SUITE, "prompt": {**SUITE["prompt"], part: changed}})
    assert_none_answered(replay(edited))


@EACH_EXAMPLE_REWRITES
@given(data=st.data())
def test_one_parameter(edited: Path, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from([*SUITE["request"], "top_p", "seed"]))
    value = data.draw(st.integers(-(2**40), 2**40) | st.floats(-1e9, 1e9) | st.booleans() | st.text(CHARACTERS))
    assume((type(value), value) != (type(SUITE["request"].get(key)), SUITE["request"].get(key)))
    assume(value != "omit" or key in SUITE["request"])
    write_suite(edited, {**SUITE, "request": {**SUITE["request"], key: value}})
    assert_none_answered(replay(edited))


@pytest.mark.parametrize("key", SUITE["request"])
def test_a_parameter_left_out(edited: Path, key: str) -> None:
    write_suite(edited, {**SUITE, "request": {k: v for k, v in SUITE["request"].items() if k != key}})
    assert_none_answered(replay(edited))


def test_the_system_prompt_left_out(edited: Path) -> None:
    write_suite(edited, {**SUITE, "prompt": {"user": SUITE["prompt"]["user"]}})
    assert_none_answered(replay(edited))


@EACH_EXAMPLE_REWRITES
@given(data=st.data())
def test_the_served_model(edited: Path, data: st.DataObject) -> None:
    write_suite(edited, {**SUITE, "models": {"small": {"model": data.draw(edits("small-1"))}}})
    assert_none_answered(replay(edited))


# ---------------------------------------------------------------- the samples


@pytest.mark.parametrize("field", ["id", "dialogue", "summary"])
@settings(EACH_EXAMPLE_REWRITES, max_examples=12)
@given(data=st.data())
def test_one_character_of_a_row_of_the_data_set(edited: Path, field: str, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, 5))
    changed = {**ROWS[number], field: data.draw(edits(ROWS[number][field]))}
    write_rows(edited, [*ROWS[:number], changed, *ROWS[number + 1 :]])
    assert isinstance(replay(edited), str)


def test_rows_in_another_order(edited: Path) -> None:
    write_rows(edited, ROWS[::-1])
    assert isinstance(replay(edited), str)


@EACH_EXAMPLE_REWRITES
@given(data=st.data())
def test_one_character_of_the_frozen_samples(edited: Path, recording: Path, data: st.DataObject) -> None:
    text = (recording / "frozen/samples.jsonl").read_text(encoding="utf-8")
    changed = data.draw(edits(text))
    assume(changed.replace("\r\n", "\n") != text)  # Line ends are git's.
    (edited / "frozen/samples.jsonl").write_text(changed, encoding="utf-8", newline="")
    assert "samples.jsonl" in replay_refusal(edited)


@pytest.mark.parametrize("key", ["input", "references", "id"])
def test_a_frozen_sample_that_says_something_else(edited: Path, key: str) -> None:
    lines = [json.loads(line) for line in (edited / "frozen/samples.jsonl").read_text().splitlines()]
    lines[2][key] = ["other"] if key == "references" else "other"
    (edited / "frozen/samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "samples.jsonl was changed since it was frozen" in replay_refusal(edited)


def replay_refusal(folder: Path) -> str:
    found = replay(folder)
    assert isinstance(found, str)
    return found


# ---------------------------------------------------------------- the cassettes


@settings(EACH_EXAMPLE_REWRITES, max_examples=150)
@given(data=st.data())
def test_one_byte_of_a_cassette(recording: Path, edited: Path, data: st.DataObject) -> None:
    name = f"frozen/small/{data.draw(st.sampled_from(ROWS))['id']}.yaml"
    content = (recording / name).read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    byte = data.draw(st.binary(max_size=1) | st.sampled_from([b" ", b"\n", b'"', b"a", b"}"]))
    (edited / name).write_bytes(content[:place] + byte + content[place + data.draw(st.integers(0, 1)) :])
    (prediction,) = [p for p in replay(edited) if isinstance(p, Prediction) and name.endswith(f"/{p.sample.id}.yaml")]
    if prediction.answered:
        assert_says(prediction, edited / name, recording / name)
    (edited / name).write_bytes(content)


def assert_says(prediction: Prediction, changed: Path, original: Path) -> None:
    """By a reader that is not ours: the cassette holds this very call, and this very answer."""
    now, then = (yaml.load(path.read_text(), yaml.CSafeLoader)["interactions"][0] for path in (changed, original))
    assert json.loads(now["request"]["body"]) == json.loads(then["request"]["body"])
    answer = json.loads(now["response"]["body"]["string"])
    assert answer["choices"][0]["message"]["content"] == prediction.text
    reference = next(row["summary"] for row in ROWS if row["id"] == prediction.sample.id)
    assert prediction.scores == score(reference, prediction.text)


@pytest.mark.parametrize("other", ["t2", "t6"])
def test_the_cassette_of_another_sample(edited: Path, other: str) -> None:
    shutil.copy(edited / f"frozen/small/{other}.yaml", edited / "frozen/small/t1.yaml")
    found = replay(edited)[0]
    assert isinstance(found, Prediction)
    assert "t1.yaml: recorded with another prompt (line 4 differs)" in str(found.failure)
