"""The training file: its bytes, and every check before a cent is spent."""

import hashlib
import json

import pytest
from evaltape.errors import UserError
from evaltape.finetuning.services import SERVICES, Service
from evaltape.finetuning.training_file import build_validation_file
from evaltape.suite.cost import MOST_EPOCHS

from tests.support.project import ROWS
from tests.support.server import ApiServer
from tests.support.tuning import TRAINING, TuningProject

# The bytes that OpenAI and others are sent. Whoever changes them has every user pay for every job again.
FIRST_LINE = (
    '{"messages": [{"role": "user", "content": "Summarise this conversation.\\n\\n'
    'Zoë: “ça va?” \\\\ \\"ok\\" {x}\\n\\tΩ: 好的 🙂\u2028bye\\n"}, '
    '{"role": "assistant", "content": "Zoë says hello to Ω."}]}\n'
)
SHA256 = "6b88ad5e0cc5da8b288cc6d6f32e88b8e1b2cace50c88abc5418e4426380b821"


def refused(tuning: TuningProject) -> str:
    with pytest.raises(UserError) as error:
        tuning.training_file()
    assert str(error.value).startswith(f"{tuning.suite}: [finetune.tuned] ")
    return str(error.value).split("[finetune.tuned] ", 1)[1]


# ---------------------------------------------------------------- its bytes


def test_is_the_same_to_the_byte_every_time(tuning: TuningProject) -> None:
    file = tuning.training_file()
    assert file.text.startswith(FIRST_LINE)
    assert (file.rows, file.text.count("\n"), file.sha256) == (12, 12, SHA256)
    assert hashlib.sha256(tuning.training_file().content).hexdigest() == SHA256


def test_asks_what_the_evaluation_asks(tuning: TuningProject) -> None:
    tuning.write_split("train", [*TRAINING, {**ROWS[0], "dialogue": "Ben: the red car won\nZoe: grand"}])
    suite, _ = tuning.loaded()
    last = json.loads(tuning.training_file().text.split("\n")[-2])["messages"]
    request = tuning.recordings().request(suite.models["small"], tuning.samples()[0])
    assert last[:-1] == [{**turn, "content": turn["content"].replace("great", "grand")} for turn in request["messages"]]
    assert last[-1] == {"role": "assistant", "content": ROWS[0]["summary"]}


def test_has_the_system_prompt_where_the_suite_has_one(tuning: TuningProject) -> None:
    tuning.edit_suite("[prompt]\n", '[prompt]\nsystem = "You summarise for {reader}."\n')
    tuning.write_rows([{**row, "reader": "Ada"} for row in ROWS])
    tuning.write_split("train", [{**row, "reader": f"Ben {n}"} for n, row in enumerate(TRAINING)])
    turns = json.loads(tuning.training_file().text.split("\n")[3])["messages"]
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant"]
    assert turns[0]["content"] == "You summarise for Ben 3."


def test_is_of_the_selected_rows_in_the_order_of_datasets(tuning: TuningProject) -> None:
    import datasets

    tuning.edit_suite('{ split = "train" }', '{ split = "train", samples = 10, seed = 3 }')
    wanted = datasets.Dataset.from_list(TRAINING).shuffle(seed=3).select(range(10))["summary"]
    lines = tuning.training_file().text.split("\n")[:-1]
    assert [json.loads(line)["messages"][-1]["content"] for line in lines] == list(wanted)


def test_epochs_left_to_the_service_are_counted_as_its_most(tuning: TuningProject) -> None:
    file = tuning.training_file()
    turns = [turn for line in file.text.split("\n")[:-1] for turn in json.loads(line)["messages"]]
    size = sum(len(turn["content"].encode()) + 80 for turn in turns)  # bytes of UTF-8, and the chat format's own
    assert tuning.jobs().prepare("tuned").most_tokens() == size
    tuning.edit_suite("n_epochs = 1", 'n_epochs = "auto"')
    assert tuning.jobs().prepare("tuned").most_tokens() == MOST_EPOCHS * size


# ---------------------------------------------------------------- its checks


@pytest.mark.parametrize("column", ["dialogue", "summary"])
@pytest.mark.parametrize("text", ["", " \n\t"], ids=["empty", "blank"])
def test_refuses_an_empty_text(tuning: TuningProject, column: str, text: str) -> None:
    tuning.write_split("train", [*TRAINING, {**TRAINING[1], "id": "r13", column: text}])
    with pytest.raises(UserError, match=rf"row 'r13' of '../data/talks' has no {column}$"):
        tuning.training_file()


def test_refuses_two_rows_of_one_id(tuning: TuningProject) -> None:
    tuning.write_split("train", [*TRAINING, TRAINING[4]])
    with pytest.raises(UserError, match=r"two rows of split 'train' have the id 'r5'$"):
        tuning.training_file()


def test_refuses_under_ten_examples(tuning: TuningProject) -> None:
    tuning.write_split("train", TRAINING[:9])
    assert refused(tuning) == "9 training rows; the API asks for 10 or more"
    tuning.write_split("train", TRAINING[:10])
    assert tuning.training_file().rows == 10


def test_says_that_rows_left_out_leave_too_few(tuning: TuningProject) -> None:
    tuning.edit_suite('{ split = "train" }', '{ split = "train", leaks = "drop" }')
    tuning.write_split("train", [*TRAINING[:9], {**ROWS[2], "id": "r10"}])
    assert refused(tuning) == ("9 training rows, with 1 left out that are evaluated, too; the API asks for 10 or more")


def test_refuses_an_example_that_is_too_long(tuning: TuningProject) -> None:
    tuning.write_split("train", [*TRAINING, {**TRAINING[1], "id": "r13", "dialogue": "word " * 60_000}])
    assert refused(tuning) == ("training row r13: about 75,034 tokens (300,136 bytes); the API takes 65,536 tokens")


def test_refuses_a_file_that_is_larger_than_the_service_takes(tuning: TuningProject, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(tuning.training_file().content)
    monkeypatch.setitem(SERVICES, "openai", Service(largest_bytes=size))
    assert tuning.training_file().rows == 12
    monkeypatch.setitem(SERVICES, "openai", Service(largest_bytes=size - 1))
    with pytest.raises(UserError, match=f"the training file has {size:,} bytes; the API takes {size - 1:,}"):
        tuning.training_file()


def test_every_line_has_the_turns_of_the_prompt_and_the_assistants(tuning: TuningProject) -> None:
    tuning.edit_suite("[prompt]\n", '[prompt]\nsystem = "You summarise."\n')
    for line in tuning.training_file().text.split("\n")[:-1]:
        turns = json.loads(line)["messages"]
        assert [turn["role"] for turn in turns] == ["system", "user", "assistant"]
        assert all(turn["content"].strip() for turn in turns)


@pytest.mark.parametrize("note", ["", " \n"])
def test_refuses_a_turn_that_a_row_leaves_empty(tuning: TuningProject, note: str) -> None:
    tuning.edit_suite("[prompt]\n", '[prompt]\nsystem = "{note}"\n')
    tuning.write_rows([{**row, "note": "Be short."} for row in ROWS])
    tuning.write_split("train", [{**row, "note": "Be short."} for row in TRAINING[:-1]] + [{**TRAINING[-1], "note": note}])
    assert refused(tuning) == f"training row {TRAINING[-1]['id']}: a turn is empty"


def test_the_validation_file_is_checked_likewise(tuning: TuningProject) -> None:
    tuning.extend_suite('[finetune.tuned.validation]\nsplit = "held-out"\n')
    tuning.write_split("held-out", [{"id": "h1", "dialogue": "word " * 60_000, "summary": "Words."}])
    with pytest.raises(UserError, match=r"\[finetune.tuned\] validation row h1: about 75,031 tokens"):
        build_validation_file(*tuning.loaded())


# ---------------------------------------------------------------- before a cent is spent


def test_a_fault_ends_a_recording_before_it_begins(tuning: TuningProject, api: ApiServer) -> None:
    tuning.write_split("train", TRAINING[:9])
    tuning.run("evals", "--record", "-p no:xdist").assert_refused(
        "[finetune.tuned] 9 training rows; the API asks for 10 or more"
    )
    assert not api.requests
