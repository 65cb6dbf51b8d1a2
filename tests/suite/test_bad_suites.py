"""A mistake in the suite file is one message: the file and key, the value found, what is valid."""

import contextlib
import re
from pathlib import Path

import pytest
from evaltape.errors import UserError
from evaltape.suite.reader import load_suite
from hypothesis import given
from hypothesis import strategies as st

from tests.support.project import Project

GOOD = """\
[dataset]
path = "talks.jsonl"
split = "validation"
samples = 5
seed = 42
fields = { id = "id", input = "dialogue", reference = "summary" }

[prompt]
user = "Summarise: {input}"

[request]
temperature = 0.2

[rouge]
metrics = ["rouge1", "rougeL"]
stemmer = false

[models.small]
model = "small-1"
price = { input = 0.15, output = 0.60 }
gates = { rouge1 = 0.38 }

[finetune.small-ft]
base = "small"
train = { split = "train" }
hyperparameters = { n_epochs = 1 }
gates = { rouge1 = 0.5 }

[compare.tuning-helps]
baseline = "small"
candidate = "small-ft"
min_gain = { rougeL = 0.05 }
"""
MISTAKES = {
    # what was changed: (a text of the suite, its replacement, the message behind the file's name)
    "unknown table": ("[rouge]", "[rogue]", ": rogue is not a key Evaltape knows. Did you mean 'rouge'? Valid here: dataset,"),
    "unknown key": ("[models.small]", "[models.small]\ngate = 1", ": [models.small] gate is not a key Evaltape knows. Did you mean 'gates'?"),
    "unknown dataset key": ("samples = 5", "sample = 5", ": [dataset] sample is not a key Evaltape knows. Did you mean 'samples'?"),
    "unknown field": ('input = "dialogue"', 'inputs = "dialogue"', ": [dataset.fields] inputs is not a key Evaltape knows. Did you mean 'input'?"),
    "no dataset": ("[dataset]", "[models.x]", ": dataset is missing; it takes a table"),
    "no path": ('path = "talks.jsonl"', "", ": [dataset] path is missing; it takes a text"),
    "no samples": ("samples = 5", "samples = 0", ": [dataset] samples = 0: at least 1; leave it out to use all"),
    "samples as text": ("samples = 5", 'samples = "5"', ": [dataset] samples = '5': it takes a whole number"),
    "samples as truth": ("samples = 5", "samples = true", ": [dataset] samples = True: it takes a whole number"),
    "negative seed": ("seed = 42", "seed = -1", ": [dataset] seed = -1: it takes a whole number from 0"),
    "no prompt": ("[prompt]", "[compare.x]", ": prompt is missing; it takes a table"),
    "blank prompt": ("Summarise: {input}", " ", ": [prompt] user = '': it takes a text that is not empty"),
    "prompt without input": ("{input}", "it", ": [prompt] user never names {input}, so every sample would be asked the same"),
    "prompt with a lone brace": ("{input}", "{input} {", ": [prompt] user : "),
    "prompt with an expression": ("{input}", "{input.x}", "{input.x} is not a column's name; for a brace in the text write {{ or }}"),
    "own request key": ("temperature = 0.2", 'model = "x"', ": [request] model = 'x': Evaltape sends this one itself; leave it out"),
    "request with a date": ("temperature = 0.2", "temperature = 2026-01-01", ": [request] temperature = datetime.date(2026, 1, 1): a request is JSON, which has no such value"),
    "request with no number": ("temperature = 0.2", "temperature = nan", ": [request] temperature = nan: a request is JSON, which has no such value"),
    "price without end": ("input = 0.15", "input = inf", ": [models.small.price] input = inf: it takes a finite number"),
    "unknown metric": ('"rougeL"]', '"rougel"]', ": [rouge] metrics names 'rougel', which is no metric here. Did you mean 'rougeL'? Valid: rouge1,"),
    "a metric twice": ('"rougeL"]', '"rouge1"]', ": [rouge] metrics = ['rouge1', 'rouge1']: name one metric or more, each once"),
    "no metric": ('["rouge1", "rougeL"]', "[]", ": [rouge] metrics = []: name one metric or more, each once"),
    "metric that is no text": ('"rougeL"]', "[1]]", ": [rouge] metrics names [1], which is no metric here."),
    "stemmer as text": ("stemmer = false", 'stemmer = "no"', ": [rouge] stemmer = 'no': it takes true or false"),
    "no models": ("[models.small]", "[models]\n[request2]", ": [models] is empty; a suite needs at least one model"),
    "no model name": ('model = "small-1"', "", ": [models.small] model is missing; it takes a text"),
    "gate in percent": ("rouge1 = 0.38", "rouge1 = 38", ": [models.small.gates] rouge1 = 38: a gate is an F1 score between 0 and 1. Did you mean 0.38?"),
    "gate over 100": ("rouge1 = 0.38", "rouge1 = 380", ": [models.small.gates] rouge1 = 380: a gate is an F1 score between 0 and 1"),
    "negative gate": ("rouge1 = 0.38", "rouge1 = -0.1", ": [models.small.gates] rouge1 = -0.1: a gate is an F1 score between 0 and 1"),
    "gate that is no number": ("rouge1 = 0.38", "rouge1 = nan", ": [models.small.gates] rouge1 = nan: a gate is an F1 score between 0 and 1"),
    "gate on another metric": ("rouge1 = 0.38", "rouge2 = 0.38", ": [models.small.gates] rouge2 is no metric of this suite. [rouge] metrics: rouge1, rougeL"),
    "gate on a mistyped metric": ("rouge1 = 0.38", "rouge_1 = 0.38", ": [models.small.gates] rouge_1 is no metric of this suite. Did you mean 'rouge1'? [rouge] metrics: rouge1, rougeL"),
    "negative price": ("input = 0.15", "input = -1", ": [models.small.price] input = -1: it can't be negative"),
    "half a price": ("input = 0.15, ", "", ": [models.small.price] input is missing; it takes a number"),
    "negative allowance": ("[models.small]", "[models.small]\nallow_failed = -1", ": [models.small] allow_failed = -1: it can't be negative"),
    "address without scheme": ("[models.small]", '[models.small]\nbase_url = "localhost:8000"', "base_url = 'localhost:8000': it takes an address like http://127.0.0.1:8000/v1"),
    "address with a password": ("[models.small]", '[models.small]\nbase_url = "http://me:pw@host/v1"', ": [models.small] base_url holds a user name or password"),
    "a key for a variable": ("[models.small]", '[models.small]\napi_key_env = "sk-12345678"', ": [models.small] api_key_env takes the name of an environment variable, never a key"),
    "model key with a slash": ("[models.small]", '[models."a/b"]', ": [models.a/b]: 'a/b' can't be a test id and a folder's name; use letters, digits, _, - and ."),
    "model key that climbs": ("[models.small]", '[models.".."]', ": [models...]: '..' can't be a test id and a folder's name"),
    "model key that starts at the root": ("[models.small]", '[models."/etc"]', "'/etc' can't be a test id and a folder's name"),
    "model key that is empty": ("[models.small]", '[models.""]', "'' can't be a test id and a folder's name"),
    "model key that is a device": ("[models.small]", "[models.con]", "'con' can't be a test id and a folder's name"),
    "two models, one folder": ("[finetune.small-ft]", "[models.SMALL]\nmodel = \"x\"\n[finetune.small-ft]", ": [models.SMALL] and 'small' would share one cassette folder; rename one"),
    "model and job of one name": ("[finetune.small-ft]", "[finetune.small]", ": [models.small] and [finetune.small] would share one cassette folder"),
    "model called as the samples": ("[models.small]", '[models."samples.jsonl"]\nmodel = "x"\n[models.small]', "[models.samples.jsonl] and 'samples.jsonl' would share one cassette folder"),
    "unknown base": ('base = "small"', 'base = "smal"', ": [finetune.small-ft] base = 'smal': no such model. Did you mean 'small'? Under [models]: small"),
    "no training split": ('train = { split = "train" }', "", ": [finetune.small-ft] train is missing; it takes a table"),
    "unknown leaks": ('split = "train"', 'split = "train", leaks = "keep"', ": [finetune.small-ft.train] leaks = 'keep': it takes 'error' or 'drop'"),
    "no epochs": ("n_epochs = 1", "n_epochs = 0", ": [finetune.small-ft.hyperparameters] n_epochs = 0: it takes a number over 0, or 'auto'"),
    "half an epoch": ("n_epochs = 1", "n_epochs = 1.5", ": [finetune.small-ft.hyperparameters] n_epochs = 1.5: it takes a whole number"),
    "unknown hyperparameter": ("n_epochs = 1", "epochs = 1", ": [finetune.small-ft.hyperparameters] epochs is not a key Evaltape knows. Did you mean 'n_epochs'?"),
    "unknown candidate": ('candidate = "small-ft"', 'candidate = "smallft"', ": [compare.tuning-helps] candidate = 'smallft': no such model. Did you mean 'small-ft'? Models: small, small-ft"),
    "compared with itself": ('candidate = "small-ft"', 'candidate = "small"', ": [compare.tuning-helps] candidate = 'small': it is the baseline, too; compare two models"),
    "no bound": ("min_gain = { rougeL = 0.05 }", "", ": [compare.tuning-helps] min_gain is missing; it or max_drop takes a bound per metric"),
    "two bounds": ("min_gain = { rougeL = 0.05 }", "min_gain = { rougeL = 0.05 }\nmax_drop = { rougeL = 0.05 }", ": [compare.tuning-helps] max_drop and min_gain both bound rougeL; keep one"),
    "certainty": ("min_gain =", "confidence = 1\nmin_gain =", ": [compare.tuning-helps] confidence = 1: it takes a number from 0.5 to under 1"),
    "not TOML": ("[dataset]", "[dataset", ": not a readable TOML file: "),
}  # fmt: skip


def refusal(file: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_suite(file)
    return str(caught.value)


def test_the_suite_that_the_mistakes_are_made_in_is_good(tmp_path: Path) -> None:
    file = tmp_path / "talks.toml"
    file.write_text(GOOD)
    assert list(load_suite(file).models) == ["small", "small-ft"]


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_file_key_value_and_what_is_valid(
    old: str, new: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert old in GOOD
    Path("talks.toml").write_text(GOOD.replace(old, new, 1))
    told = refusal(tmp_path / "talks.toml")
    assert told.startswith("talks.toml: ")
    assert message in told


def test_a_missing_suite_names_those_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("chats.toml").write_text(GOOD)
    assert refusal(tmp_path / "chat.toml") == "chat.toml: there is no such suite file. Suites there: chats.toml"


def test_a_suite_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "chats.toml").write_bytes(b"\xff\xfe\x00")
    assert "not a readable TOML file" in refusal(tmp_path / "chats.toml")


def test_a_suite_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "chats.toml").mkdir()
    assert "not a readable TOML file" in refusal(tmp_path / "chats.toml")


def test_a_suite_whose_name_can_be_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "my chats.toml").write_text(GOOD)
    assert "the file's name is the folder of its recordings; use letters, digits, _ and -" in refusal(
        tmp_path / "my chats.toml"
    )


@given(st.data())
def test_whatever_is_in_a_suite_it_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    text = GOOD
    odd = st.sampled_from(["", "[]", "{}", "1e400", "-1", "nan", "true", '""', "[[", "\n", "1979-05-27", "'''", "\x00"])
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        text = text[:start] + data.draw(odd) + text[start + data.draw(st.integers(0, 12)) :]
    file.write_text(text, encoding="utf-8")
    with contextlib.suppress(UserError):
        load_suite(file)


# ---------------------------------------------------------------- on the command line


def test_a_mistake_ends_the_run_with_exit_code_4_and_no_traceback(recorded: Project, workers: str) -> None:
    recorded.edit_suite("rouge1 = 0.3", "rouge1 = 30")
    run = recorded.run("evals", workers)
    message = (
        "evals/suites/chats.toml: [models.small.gates] rouge1 = 30: a gate is an F1 score between 0 and 1. Did you mean 0.3?"
    )
    run.assert_refused(message)
    assert run.output.count(message) == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--suite", "nowhere.toml"], "nowhere.toml: there is no such suite file. Suites there: none in that folder"),
        (["--record", "--record-missing"], "--record asks every sample again, --record-missing only what has no recording"),
        (["--retrain"], "--retrain starts a new fine-tuning job, which only --record may: add --record"),
        (["--repeat", "2"], "--repeat 2 asks samples again to measure noise, which only --record may: add --record"),
        (["--record", "--repeat", "0"], "--repeat 0: it takes a whole number from 1"),
        (["--concurrency", "0"], "--concurrency 0: it takes a whole number from 1"),
        (["--budget", "1"], "--budget bounds what a recording spends; replay spends nothing"),
        (["--record", "--budget", "0"], "--budget 0: it takes an amount of USD over 0"),
        (["--record", "--budget", "nan"], "--budget nan: it takes an amount of USD over 0"),
        (["-o", "eval_timeout_s=soon"], "pytest.ini: eval_timeout_s = soon: it takes a number of seconds over 0"),
    ],
)
def test_a_mistake_in_the_options_ends_the_run(recorded: Project, args: list[str], message: str) -> None:
    recorded.run("evals", "-m", "baseline", *args).assert_refused(message)


def test_recording_without_a_key_is_refused_before_any_call(project: Project) -> None:
    project.edit_suite(f'base_url = "{project.base_url}"\n', "")
    run = project.run("evals", "-m", "baseline", "--record")
    run.assert_refused("small: recording needs an API key, and OPENAI_API_KEY is not set.")
    assert re.search(r"replay what is recorded by leaving --record out", run.output)


def test_replay_without_a_recording_says_how_to_record(project: Project) -> None:
    run = project.run("evals", "-m", "baseline")
    run.assert_refused(
        "evals/suites/chats.toml: no recording of this suite in cassettes/chats yet. Record it: pytest evals -m baseline --record"
    )
