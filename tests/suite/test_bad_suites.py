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
from tests.support.suites import refusal as refused

GOOD = """\
[dataset]
path = "talks.jsonl"
split = "validation"
samples = 5
seed = 42
fields = { id = "id", input = "dialogue", reference = "summary" }
slices = ["topic"]

[prompt]
user = "Summarise: {input}"

[request]
temperature = 0.2

[metrics]
rouge1 = {}
rougeL = { stemmer = true }
names_kept = { function = "acme.metrics:names_kept" }

[models.small]
model = "small-1"
price = { input = 0.15, output = 0.60 }
gates = { rouge1 = 0.38 }
slice_gates = { rougeL = 0.2 }

[models.old]
predictions = "old.jsonl"

[finetune.small-ft]
base = "small"
train = { split = "train" }
hyperparameters = { n_epochs = 1 }
gates = { rouge1 = 0.5 }

[compare.tuning-helps]
baseline = "small"
candidate = "small-ft"
min_gain = { rougeL = 0.05 }

[against]
max_drop = { rougeL = 0.02 }

[mutants]
operators = ["negate"]
noticed_at = 0.25
"""
MESSAGES = 'messages = [ { role = "user", content = "{input}" } ]'
ERRORS = {
    # what was changed: (a text of the suite, its replacement, the message behind the file's name)
    "unknown table": ("[metrics]", "[metricks]", ": metricks is not a key Evaltape knows. Did you mean 'metrics'? Valid here: dataset, prompt, request, metrics, models, finetune, compare, against, mutants"),
    "a table that comes later": ("[mutants]", "[judges.a]\n[mutants]", ": judges is not a key Evaltape knows."),
    "a key that comes later": ("output = 0.60", "output = 0.60, batch = 0.5", ": [models.small.price] batch is not a key Evaltape knows. Valid here: input, output"),
    "a metric that comes later": ("rouge1 = {}", 'rouge1 = {}\nfaithful = { judge = "faithful" }', ": [metrics.faithful] judge is not a key Evaltape knows. Valid here: function"),
    "the old table": ("[metrics]", '[rouge]\nmetrics = ["rouge1", "rougeL"]\nstemmer = true\n[metrics]', ": [rouge] is now [metrics], which has a key for each metric: rouge1 = { stemmer = true }, rougeL = { stemmer = true }"),
    "the old table, empty": ("[metrics]", "[rouge]\n[metrics]", ": [rouge] is now [metrics], which has a key for each metric: rouge1 = {}, rouge2 = {}, rougeL = {}"),
    "unknown key": ("[models.small]", "[models.small]\ngate = 1", ": [models.small] gate is not a key Evaltape knows. Did you mean 'gates'?"),
    "unknown dataset key": ("samples = 5", "sample = 5", ": [dataset] sample is not a key Evaltape knows. Did you mean 'samples'?"),
    "unknown field": ('input = "dialogue"', 'inputs = "dialogue"', ": [dataset.fields] inputs is not a key Evaltape knows. Did you mean 'input'? Valid here: id, input, reference"),
    "no dataset": ("[dataset]", "[models.x]", ": dataset is missing; it takes a table"),
    "no path": ('path = "talks.jsonl"', "", ": [dataset] path is missing; it takes a text"),
    "no samples": ("samples = 5", "samples = 0", ": [dataset] samples = 0: it takes a whole number from 1"),
    "samples as text": ("samples = 5", 'samples = "5"', ": [dataset] samples = '5': it takes a whole number from 1"),
    "samples as truth": ("samples = 5", "samples = true", ": [dataset] samples = true: it takes a whole number from 1"),
    "negative seed": ("seed = 42", "seed = -1", ": [dataset] seed = -1: it takes a whole number from 0"),
    "slices as text": ('["topic"]', '"topic"', ": [dataset] slices = 'topic': it takes a list of texts, each once"),
    "a slice twice": ('["topic"]', '["topic", "topic"]', ": [dataset] slices = ['topic', 'topic']: it takes a list of texts, each once"),
    "no slice": ('["topic"]', "[]", ": [dataset] slices = []: it takes a list of texts, each once"),
    "no reference": ('"summary"', "[]", ": [dataset.fields] reference = []: it takes a column's name, or a list of texts, each once"),
    "no prompt": ('[prompt]\nuser = "Summarise: {input}"', "", ": prompt is missing; it takes a table, as [models.small] has no prompt of its own"),
    "an empty prompt": ('user = "Summarise: {input}"', "", ": [prompt] user, messages or conversation is missing"),
    "blank prompt": ("Summarise: {input}", " ", ": [prompt] user = ' ': it takes a text that is not empty"),
    "prompt without input": ("{input}", "it", ": [prompt] user never names {input}, so every sample would be asked the same"),
    "prompt with a lone brace": ("{input}", "{input} {", ": [prompt] user : "),
    "prompt with an expression": ("{input}", "{input.x}", "{input.x} is not a column's name; for a brace in the text write {{ or }}"),
    "two prompts": ("[prompt]", f"[prompt]\n{MESSAGES}", ": [prompt] user and messages exclude each other: keep one of user, messages and conversation"),
    "prompt and conversation": ("[prompt]", '[prompt]\nconversation = "turns"', ": [prompt] user and conversation exclude each other"),
    "messages and system": ('user = "Summarise: {input}"', f'system = "Be brief."\n{MESSAGES}', ": [prompt] system has no meaning beside messages: leave one of them out"),
    "messages that are none": ('user = "Summarise: {input}"', "messages = []", ": [prompt] messages = []: it takes a list of tables"),
    "messages of a role": ('user = "Summarise: {input}"', MESSAGES.replace("user", "human"), ": [prompt.messages[0]] role = 'human': it takes 'system' or 'developer' or 'user' or 'assistant'"),
    "messages that end wrong": ('user = "Summarise: {input}"', MESSAGES.replace("user", "assistant"), ": [prompt] messages ends with another role than 'user'; a model answers the user's last message"),
    "messages without input": ('user = "Summarise: {input}"', MESSAGES.replace("{input}", "it"), ": [prompt] messages never names {input}, so every sample would be asked the same"),
    "own prompt without input": ('model = "small-1"', 'model = "small-1"\nprompt = { user = "Go!" }', ": [models.small.prompt] user never names {input}"),
    "own request key": ("temperature = 0.2", 'model = "x"', ": [request] model = 'x': Evaltape sends this one itself; leave it out"),
    "own request key of a model": ('model = "small-1"', 'model = "small-1"\nrequest = { stream = true }', ": [models.small.request] stream = true: Evaltape sends this one itself; leave it out"),
    "request with a date": ("temperature = 0.2", "temperature = 2026-01-01", ": [request] temperature = 2026-01-01: it takes what JSON has"),
    "request with no number": ("temperature = 0.2", "temperature = nan", ": [request] temperature = nan: it takes what JSON has"),
    "price without end": ("input = 0.15", "input = inf", ": [models.small.price] input = inf: it takes a number from 0"),
    "no metric": ('[metrics]\nrouge1 = {}\nrougeL = { stemmer = true }\nnames_kept = { function = "acme.metrics:names_kept" }', "[metrics]", ": [metrics] is empty; name at least one"),
    "unknown metric": ("rougeL = {", "rougel = {", ": [metrics.rougel] stemmer is not a key Evaltape knows. Valid here: function"),
    "unknown metric without options": ("rougeL = { stemmer = true }", "rougel = {}", ": [metrics] rougel is not built in. Did you mean 'rougeL'? Built in: rouge1, rouge2,"),
    "metric that is no table": ("rouge1 = {}", "rouge1 = true", ": [metrics] rouge1 = true: it takes a table"),
    "stemmer as text": ("stemmer = true", 'stemmer = "no"', ": [metrics.rougeL] stemmer = 'no': it takes true or false"),
    "unknown tokenizer": ("stemmer = true", 'tokenizer = "fugashi"', ": [metrics.rougeL] tokenizer = 'fugashi': it takes 'rouge' (a-z and 0-9), 'unicode', or 'module:function'"),
    "unknown way with references": ("stemmer = true", 'references = "worst"', ": [metrics.rougeL] references = 'worst': it takes 'best' or 'mean'"),
    "an option of another metric": ("rouge1 = {}", "exact = { stemmer = true }\nrouge1 = {}", ": [metrics.exact] stemmer is not a key Evaltape knows. Valid here: references"),
    "an option of a metric that has none": ("rouge1 = {}", 'words = { references = "best" }\nrouge1 = {}', ": [metrics.words] references is not a key Evaltape knows. Valid here: no key"),
    "a path for a function": ("acme.metrics:names_kept", "acme/metrics.py", ": [metrics.names_kept] function = 'acme/metrics.py': it takes 'module:function'"),
    "a function by a built-in name": ("rouge1 = {}", 'rouge1 = { function = "a:b" }', ": [metrics] rouge1 is built in; give a metric of your own another name"),
    "a metric by a name in results": ("names_kept = {", "prediction = {", ": [metrics] prediction stands for something else in results; give the metric another name"),
    "a metric by no test id": ("names_kept = {", '"names/kept" = {', ": [metrics] names/kept can't be part of a test id"),
    "metrics that differ by case": ("names_kept = {", 'Names_kept = { function = "a:b" }\nnames_kept = {', ": [metrics] names_kept and 'Names_kept' differ by case alone; rename one"),
    "no models": ('[models.small]\nmodel = "small-1"\nprice = { input = 0.15, output = 0.60 }\ngates = { rouge1 = 0.38 }\nslice_gates = { rougeL = 0.2 }\n\n[models.old]\npredictions = "old.jsonl"', "[models]", ": [models] is empty; name at least one"),
    "no model name": ('model = "small-1"', "", ": [models.small] model or predictions is missing"),
    "model and predictions": ('predictions = "old.jsonl"', 'predictions = "old.jsonl"\nmodel = "x"', ": [models.old] model and predictions exclude each other: keep one of model and predictions"),
    "predictions with a price": ('predictions = "old.jsonl"', 'predictions = "old.jsonl"\nprice = { input = 1, output = 1 }', ": [models.old] price has no meaning beside predictions: leave one of them out"),
    "gate without end": ("rouge1 = 0.38", "rouge1 = nan", ": [models.small.gates] rouge1 = nan: it takes a finite number"),
    "gate as text": ("rouge1 = 0.38", 'rouge1 = "0.38"', ": [models.small.gates] rouge1 = '0.38': it takes a finite number"),
    "gate on another metric": ("rouge1 = 0.38", "bleu = 0.38", ": [models.small] gates names 'bleu', no metric of this suite. Its metrics: rouge1, rougeL, names_kept"),
    "gate on a mistyped metric": ("rouge1 = 0.38", "rouge_1 = 0.38", ": [models.small] gates names 'rouge_1', no metric of this suite. Did you mean 'rouge1'?"),
    "slice gate on a mistyped metric": ("slice_gates = { rougeL", "slice_gates = { rougel", ": [models.small] slice_gates names 'rougel', no metric of this suite. Did you mean 'rougeL'?"),
    "slice gate without slices": ('slices = ["topic"]', "", ": [models.small] slice_gates bounds slices, and [dataset] names none, as in slices = ['topic']"),
    "negative price": ("input = 0.15", "input = -1", ": [models.small.price] input = -1: it takes a number from 0"),
    "half a price": ("input = 0.15, ", "", ": [models.small.price] input is missing; it takes a number from 0"),
    "negative allowance": ("[models.small]", "[models.small]\nallow_failed = -1", ": [models.small] allow_failed = -1: it takes a whole number from 0"),
    "address without scheme": ("[models.small]", '[models.small]\nbase_url = "localhost:8000"', "base_url = 'localhost:8000': it takes an address like http://127.0.0.1:8000/v1"),
    "address with a bad port": ("[models.small]", '[models.small]\nbase_url = "http://host:x/v1"', "base_url = 'http://host:x/v1': it takes an address like http://127.0.0.1:8000/v1"),
    "address with a password": ("[models.small]", '[models.small]\nbase_url = "http://me:pw@host/v1"', ": [models.small] base_url holds a user name or password"),
    "address with a query": ("[models.small]", '[models.small]\nbase_url = "http://host/v1?api-version=1"', ": [models.small] base_url = 'http://host/v1' and more: paths are added behind it, so it takes neither ? nor #"),
    "address with a fragment": ("[models.small]", '[models.small]\nbase_url = "http://host/v1#a"', ": [models.small] base_url = 'http://host/v1' and more: paths are added behind it, so it takes neither ? nor #"),
    "a key for a variable": ("[models.small]", '[models.small]\napi_key_env = "sk-12345678"', ": [models.small] api_key_env takes the name of an environment variable, never a key"),
    "model key with a slash": ("[models.small]", '[models."a/b"]', ": [models] a/b can't be a test id and a folder's name; use letters, digits, _, - and ."),
    "model key that climbs": ("[models.small]", '[models.".."]', ": [models] .. can't be a test id and a folder's name"),
    "model key that starts at the root": ("[models.small]", '[models."/etc"]', ": [models] /etc can't be a test id and a folder's name"),
    "model key that is empty": ("[models.small]", '[models.""]', ": [models]  can't be a test id and a folder's name"),
    "model key that is a device": ("[models.small]", "[models.con]", ": [models] con can't be a test id and a folder's name"),
    "model key with an escape": ("[models.small]", '[models."\\u001b[31mx"]', ": [models] \\x1b[31mx can't be a test id and a folder's name"),
    "two models, one folder": ("[models.old]", '[models.SMALL]\nmodel = "x"\n[models.old]', ": [models] SMALL and [models.small] would share one cassette folder; rename one"),
    "model and job of one name": ("[finetune.small-ft]", "[finetune.small]", ": [finetune] small and [models.small] would share one cassette folder; rename one"),
    "model called as the samples": ("[models.old]", '[models."samples.jsonl"]\nmodel = "x"\n[models.old]', ": [models] samples.jsonl and samples.jsonl would share one cassette folder; rename one"),
    "unknown base": ('base = "small"', 'base = "smal"', ": [finetune.small-ft] base = 'smal': no such model. Did you mean 'small'? Under [models]: small"),
    "base without a model": ('base = "small"', 'base = "old"', ": [finetune.small-ft] base = 'old': its answers come from a file"),
    "no training split": ('train = { split = "train" }', "", ": [finetune.small-ft] train is missing; it takes a table"),
    "unknown leaks": ('split = "train"', 'split = "train", leaks = "keep"', ": [finetune.small-ft.train] leaks = 'keep': it takes 'error' or 'drop'"),
    "no epochs": ("n_epochs = 1", "n_epochs = 0", ": [finetune.small-ft.hyperparameters] n_epochs = 0: it takes a whole number from 1, or 'auto'"),
    "half an epoch": ("n_epochs = 1", "n_epochs = 1.5", ": [finetune.small-ft.hyperparameters] n_epochs = 1.5: it takes a whole number from 1, or 'auto'"),
    "unknown hyperparameter": ("n_epochs = 1", "epochs = 1", ": [finetune.small-ft.hyperparameters] epochs is not a key Evaltape knows. Did you mean 'n_epochs'?"),
    "unknown candidate": ('candidate = "small-ft"', 'candidate = "smallft"', ": [compare.tuning-helps] candidate = 'smallft': no such model. Did you mean 'small-ft'? Models: small, old, small-ft"),
    "compared with itself": ('candidate = "small-ft"', 'candidate = "small"', ": [compare.tuning-helps] candidate = 'small': it is the baseline, too; compare two models"),
    "no bound": ("min_gain = { rougeL = 0.05 }", "", ": [compare.tuning-helps] min_gain or max_drop is missing"),
    "an empty bound": ("min_gain = { rougeL = 0.05 }", "min_gain = {}", ": [compare.tuning-helps] min_gain is empty; it or max_drop takes a bound per metric, e.g. { rougeL = 0.05 }"),
    "two bounds": ("min_gain = { rougeL = 0.05 }", "min_gain = { rougeL = 0.05 }\nmax_drop = { rougeL = 0.05 }", ": [compare.tuning-helps] max_drop and min_gain both bound rougeL; keep one"),
    "negative drop": ("min_gain = { rougeL = 0.05 }", "max_drop = { rougeL = -0.05 }", ": [compare.tuning-helps.max_drop] rougeL = -0.05: it takes a number from 0"),
    "certainty": ("min_gain =", "confidence = 1\nmin_gain =", ": [compare.tuning-helps] confidence = 1: it takes a number from 0.5 to under 1"),
    "unknown end": ("min_gain =", 'inconclusive = "pass"\nmin_gain =', ": [compare.tuning-helps] inconclusive = 'pass': it takes 'fail' or 'skip'"),
    "against nothing": ("max_drop = { rougeL = 0.02 }", "", ": [against] max_drop is missing; it takes a table"),
    "against an unknown metric": ("max_drop = { rougeL = 0.02 }", "max_drop = { rougel = 0.02 }", ": [against] max_drop names 'rougel', no metric of this suite. Did you mean 'rougeL'?"),
    "noticed never": ("noticed_at = 0.25", "noticed_at = 0", ": [mutants] noticed_at = 0: it takes a number over 0 to 1"),
    "a long value": ("samples = 5", f'samples = "{"x" * 500}"', ": [dataset] samples = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...: it takes a whole"),
    "not TOML": ("[dataset]", "[dataset", ": not a readable TOML file: "),
}  # fmt: skip


def refusal(file: Path) -> str:
    return refused(load_suite, file)


def test_the_suite_that_the_mistakes_are_made_in_is_good(tmp_path: Path) -> None:
    file = tmp_path / "talks.toml"
    file.write_text(GOOD)
    assert list(load_suite(file).models) == ["small", "old", "small-ft"]


@pytest.mark.parametrize(("old", "new", "message"), ERRORS.values(), ids=ERRORS)
def test_a_mistake_is_told_with_file_key_value_and_what_is_valid(
    old: str, new: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert old in GOOD
    Path("talks.toml").write_text(GOOD.replace(old, new, 1), encoding="utf-8")
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


def test_a_mistake_ends_the_run_with_exit_code_4_and_no_traceback(recorded: Project) -> None:
    recorded.edit_suite("rouge1 = 0.3", "rouge_1 = 0.3")
    run = recorded.run("evals", "-n 2")
    message = "evals/suites/chats.toml: [models.small] gates names 'rouge_1', no metric of this suite. Did you mean 'rouge1'?"
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
    run.assert_refused("small: its API is asked with a key, and OPENAI_API_KEY is not set.")
    assert re.search(r"replay what is recorded by leaving --record out", run.output)


def test_replay_without_a_recording_says_how_to_record(project: Project) -> None:
    run = project.run("evals", "-m", "baseline")
    run.assert_refused(
        "evals/suites/chats.toml: no recording of this suite in cassettes/chats yet. Record it: pytest evals -m baseline --record"
    )
