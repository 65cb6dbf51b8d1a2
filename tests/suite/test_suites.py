"""A suite file is read into records, with every default filled in."""

from pathlib import Path

import msgspec
import pytest
from evaltape.metrics.metric import plain_name
from evaltape.suite.definition import Against, AnswerTable, Exam, Fields, Mutants, Split, Train, Verdict
from evaltape.suite.endpoint import Price, TrainingPrice
from evaltape.suite.metric_tables import LatencyS, Overlap, OwnMetric, Rouge, Words
from evaltape.suite.prompt import Prompt
from evaltape.suite.reader import load_suite

from tests.support.suites import refusal, suite_in, write_suite

WHOLE = """
[dataset]
path = "knkarthick/samsum"
revision = "main"
split = "validation"
samples = 200
seed = 42
fields = { id = "id", input = "dialogue", reference = ["summary", "other"] }
slices = ["topic"]
slice_min = 10
cluster = "thread"
keep = ["url"]

[prompt]
user = "In a {tone} tone: {input}"
system = "Be brief."

[prompts.terse]
user = "Few words: {input}"

[defaults]
base_url = "http://127.0.0.1:9000/v1"
api_key_env = "EVERY_KEY"
request = { seed = 1 }
price = { input = 1, output = 2, batch = 0.5 }
gates = { words = 40, rouge1 = 0.2 }

[request]
temperature = 0.2
max_completion_tokens = 128

[answer]
after = "</think>"
regex = "(?s)Summary: (.*)"

[metrics]
rouge1 = {}
rougeL = { stemmer = true, tokenizer = "unicode", references = "mean" }
chrf = {}
words = {}
latency_s = {}
names_kept = { function = "acme.metrics:names_kept" }
faithful = { judge = "faithful" }

[judges.faithful]
model = "judge-1"
base_url = "http://127.0.0.1:7000/v1"
request = { temperature = 0 }
prompt = "{input} {reference} {answer} {tone} {source}"
verdict = { json = "faithful", scale = [1, 5] }

[judges.faithful.exam]
mutants = ["swap_names"]
samples = 10
min_noticed = 0.7
max_alarms = 0.2
labels = "../labels.jsonl"
min_kappa = 0.5

[judges.strict]
model = "judge-2"
prompt = { system = "Be strict.", user = "{answer}" }
verdict = { regex = "verdict: (yes|no)" }
unexamined = true

[models.gpt-4o-mini]
model = "gpt-4o-mini-2024-07-18"
base_url = "http://127.0.0.1:8000/v1"
api_key_env = "MY_KEY"
request = { reasoning_effort = "none", temperature = "omit" }
prompt = { user = "Own: {input}" }
price = { input = 0.15, output = 0.60 }
answer = { function = "acme.clean:first", json = "summary" }
gates = { rouge1 = 0.38, rougeL = 0.30, words = "omit", faithful_corrected = 4 }
slice_gates = { rougeL = 0.20 }
allow_failed = 1

[models.plain]
model = "plain"

[models.old]
predictions = "sub/old.jsonl"

[finetune.tuned]
base = "gpt-4o-mini"
train = { split = "train", samples = 100, seed = 1, leaks = "drop" }
validation = { split = "validation", samples = 20, seed = 42 }
suffix = "samsum-ft"
seed = 42
hyperparameters = { n_epochs = 1, learning_rate_multiplier = 1, batch_size = "auto" }
poll_seconds = 5
price = { training = 3, input = 0.30, output = 1.20 }
gates = { rouge1 = 0.50 }

[finetune.elsewhere]
base = "plain-terse"
train = { recorded = "other/big", samples = 50 }
hyperparameters = { lora = true, learning_rate = 1e-5, n_epochs = 2.5 }
service = "nebius"
extra = { trainingType = "globalStandard" }
deploy = "acme.azure:deploy"

[compare.helps]
baseline = "gpt-4o-mini"
candidate = "tuned"
min_gain = { rougeL = 0.05 }
max_drop = { words = 3 }
confidence = 0.9
inconclusive = "skip"

[against]
max_drop = { rougeL = 0.02 }

[mutants]
operators = ["negate", "acme.mutants:wrong_year"]
noticed_at = 0.25
"""


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A suite file with every key."""
    (tmp_path / "samsum.toml").write_text(WHOLE)
    return tmp_path / "samsum.toml"


def test_every_key_of_the_data_set(whole: Path) -> None:
    data = load_suite(whole).dataset
    assert (data.path, data.revision, data.split, data.samples, data.seed) == (
        "knkarthick/samsum",
        "main",
        "validation",
        200,
        42,
    )
    assert data.fields == Fields("id", "dialogue", ("summary", "other"))
    assert (data.slices, data.slice_min, data.cluster, data.keep) == (("topic",), 10, "thread", ("url",))


def test_every_key_of_a_model(whole: Path) -> None:
    suite = load_suite(whole)
    model = suite.models["gpt-4o-mini"]
    assert (model.key, model.suite, model.served, model.kind) == ("gpt-4o-mini", "samsum", "gpt-4o-mini-2024-07-18", "baseline")
    assert (model.base_url, model.api_key_env) == ("http://127.0.0.1:8000/v1", "MY_KEY")
    assert model.request == {"max_completion_tokens": 128, "reasoning_effort": "none", "seed": 1}
    assert model.prompt == Prompt(user="Own: {input}")
    assert model.price == Price(0.15, 0.60)
    assert (model.gates, model.slice_gates, model.allow_failed) == (
        {"rouge1": 0.38, "rougeL": 0.30, "faithful_corrected": 4.0},
        {"rougeL": 0.20},
        1,
    )
    assert model.answer == AnswerTable(function="acme.clean:first", json="summary", written=("function", "json"))
    assert (model.prompt_place, model.place) == ("[models.gpt-4o-mini.prompt]", "models.gpt-4o-mini")


def test_a_model_without_keys_of_its_own_has_the_suites(whole: Path) -> None:
    model = load_suite(whole).models["plain"]
    assert model.prompt == Prompt(system="Be brief.", user="In a {tone} tone: {input}")
    assert model.request == {"temperature": 0.2, "max_completion_tokens": 128, "seed": 1}
    assert (model.base_url, model.api_key_env, model.price) == (
        "http://127.0.0.1:9000/v1",
        "EVERY_KEY",
        Price(1.0, 2.0, batch=0.5),
    )
    assert (model.gates, model.slice_gates, model.allow_failed) == ({"words": 40.0, "rouge1": 0.2}, {}, 0)
    assert model.answer == AnswerTable(after="</think>", regex="(?s)Summary: (.*)", written=("after", "regex"))
    assert (model.prompt_place, model.place) == ("[prompt]", "models.plain")


def test_a_model_without_a_prompt_of_its_own_is_tested_with_each(whole: Path) -> None:
    models = load_suite(whole).models
    assert list(models) == ["gpt-4o-mini", "plain", "plain-terse", "old", "tuned", "elsewhere"]
    plain, terse = models["plain"], models["plain-terse"]
    assert terse == msgspec.structs.replace(
        plain,
        key="plain-terse",
        prompt=Prompt(user="Few words: {input}"),
        prompt_place="[prompts.terse]",
        declared="plain",
    )
    assert terse.place == "models.plain"


def test_a_suite_without_defaults_leaves_them_open(tmp_path: Path) -> None:
    model = suite_in(tmp_path).models["small"]
    assert (model.base_url, model.api_key_env, model.price, model.gates, model.answer) == (None, None, None, {}, None)


def test_judges_are_asked_by_the_defaults_but_not_with_the_models_request(whole: Path) -> None:
    faithful, plain = load_suite(whole).judges.values()
    assert (faithful.key, faithful.suite, faithful.served, faithful.unexamined) == ("faithful", "samsum", "judge-1", False)
    assert (faithful.base_url, faithful.api_key_env, faithful.request) == (
        "http://127.0.0.1:7000/v1",
        "EVERY_KEY",
        {"temperature": 0},
    )
    assert faithful.prompt == Prompt(user="{input} {reference} {answer} {tone} {source}")
    assert (faithful.columns, faithful.price) == ({"tone", "source"}, Price(1.0, 2.0, batch=0.5))
    assert faithful.verdict == Verdict(json="faithful", scale=(1.0, 5.0))
    assert faithful.exam == Exam(("swap_names",), 10, 0.7, 0.2, whole.parent / "../labels.jsonl", 0.5)
    assert plain.prompt == Prompt(system="Be strict.", user="{answer}")
    assert (plain.verdict, plain.exam, plain.unexamined) == (Verdict(regex="verdict: (yes|no)"), None, True)
    assert (plain.base_url, plain.request) == ("http://127.0.0.1:9000/v1", {})


def test_an_exam_has_defaults(whole: Path) -> None:
    whole.write_text(
        WHOLE.split("mutants = [", 1)[0] + WHOLE[WHOLE.index("[judges.strict]") :].replace("faithful_corrected", "faithful")
    )
    assert load_suite(whole).judges["faithful"].exam == Exam(None, 20, 0.8, 0.1, None, 0.6)


def test_a_job_elsewhere_trains_on_recorded_answers_with_settings_of_its_service(whole: Path) -> None:
    model = load_suite(whole).models["elsewhere"]
    job = model.job
    assert job is not None
    assert (job.base.key, model.prompt_place, model.place) == ("plain-terse", "[prompts.terse]", "finetune.elsewhere")
    assert job.train == Train("", 50, recorded="other/big")
    assert job.hyperparameters == {"lora": True, "learning_rate": 1e-5, "n_epochs": 2.5}
    assert (job.service, job.extra, job.deploy) == ("nebius", {"trainingType": "globalStandard"}, "acme.azure:deploy")
    assert (model.gates, model.answer, model.price) == ({"words": 40.0, "rouge1": 0.2}, job.base.answer, None)


def test_a_model_of_predictions_asks_nothing(whole: Path) -> None:
    model = load_suite(whole).models["old"]
    assert model.predictions == whole.parent / "sub/old.jsonl"
    assert (model.served, model.request, model.prompt, model.kind) == ("", {}, Prompt(), "baseline")
    assert (model.gates, model.answer) == ({"words": 40.0, "rouge1": 0.2}, None)


def test_every_key_of_a_job_and_what_its_model_has_of_the_base(whole: Path) -> None:
    suite = load_suite(whole)
    model, base = suite.models["tuned"], suite.models["gpt-4o-mini"]
    job = model.job
    assert job is not None
    assert (job.key, job.suite, job.base) == ("tuned", "samsum", base)
    assert (job.train, job.validation) == (Train("train", 100, 1, leaks="drop"), Split("validation", 20, 42))
    assert (job.suffix, job.seed, job.poll_seconds, job.price) == (
        "samsum-ft",
        42,
        5.0,
        TrainingPrice(0.30, 1.20, training=3.0),
    )
    assert job.hyperparameters == {"n_epochs": 1, "batch_size": "auto", "learning_rate_multiplier": 1.0}
    assert (model.kind, model.served, model.price, model.gates) == ("finetuned", "", job.price, {"words": 40.0, "rouge1": 0.50})
    assert (model.prompt, model.request, model.base_url, model.api_key_env) == (
        base.prompt,
        base.request,
        base.base_url,
        "MY_KEY",
    )


def test_metrics_are_in_the_order_of_the_file_with_the_options_that_are_written(whole: Path) -> None:
    assert list(load_suite(whole).metrics.values()) == [
        Rouge("rouge1", "samsum"),
        Rouge("rougeL", "samsum", stemmer=True, tokenizer="unicode", references="mean"),
        Overlap("chrf", "samsum"),
        Words("words", "samsum"),
        LatencyS("latency_s", "samsum"),
        OwnMetric("names_kept", "samsum", function="acme.metrics:names_kept"),
        OwnMetric("faithful", "samsum", judge="faithful"),
    ]


def test_comparisons_against_and_mutants(whole: Path) -> None:
    suite = load_suite(whole)
    comparison = suite.comparisons["helps"]
    assert (comparison.key, comparison.suite, comparison.baseline, comparison.candidate) == (
        "helps",
        "samsum",
        "gpt-4o-mini",
        "tuned",
    )
    assert comparison.bounds == {"rougeL": 0.05, "words": -3.0}
    assert (comparison.confidence, comparison.inconclusive) == (0.9, "skip")
    assert suite.against == Against({"rougeL": 0.02})
    assert suite.mutants == Mutants(("negate", "acme.mutants:wrong_year"), 0.25)


def test_samples_carry_the_columns_that_anything_names(whole: Path) -> None:
    assert load_suite(whole).columns == ("source", "thread", "tone", "topic", "url")


def test_models_are_told_by_their_kind(whole: Path) -> None:
    suite = load_suite(whole)
    assert [model.key for model in suite.models.values() if model.kind == "finetuned"] == ["tuned", "elsewhere"]
    assert not suite.calls_nothing
    assert [plain_name(name, suite.metrics) for name in ("faithful_corrected", "faithful")] == ["faithful"] * 2


# ---------------------------------------------------------------- defaults


def test_what_a_short_suite_leaves_out_has_a_default(tmp_path: Path) -> None:
    suite = suite_in(tmp_path)
    assert suite.dataset.fields == Fields("id", "dialogue", ("summary",))
    assert (suite.dataset.split, suite.dataset.samples, suite.dataset.seed) == ("validation", None, None)
    assert (suite.dataset.slices, suite.dataset.slice_min, suite.dataset.cluster, suite.dataset.keep) == ((), 20, None, ())
    assert [metric.key for metric in suite.metrics.values()] == ["rouge1", "rouge2", "rougeL"]
    assert (suite.comparisons, suite.against, suite.mutants, suite.columns) == ({}, None, None, ())


@pytest.mark.parametrize(
    ("fields", "prompt", "wanted"),
    [
        ("{ input = \"text\" }", 'user = "{input}"', Fields(None, "text", ("summary",))),
        ("{}", 'user = "{input}"', Fields(None, "dialogue", ("summary",))),
        ("{ id = \"n\" }", 'conversation = "turns"', Fields("n", None, ("summary",))),
        ("{ input = \"text\" }", 'conversation = "turns"', Fields(None, "text", ("summary",))),
    ],
)  # fmt: skip
def test_fields_that_are_left_out(tmp_path: Path, fields: str, prompt: str, wanted: Fields) -> None:
    assert suite_in(tmp_path, f"fields = {fields}", prompt).dataset.fields == wanted


def test_without_a_fields_table_a_conversation_is_the_input(tmp_path: Path) -> None:
    suite = suite_in(tmp_path, prompt='conversation = "turns"')
    assert suite.dataset.fields == Fields("id", None, ("summary",))
    assert (suite.conversation, suite.columns) == ("turns", ("turns",))


def test_a_prompt_may_name_the_column_of_the_input_by_its_own_name(tmp_path: Path) -> None:
    assert suite_in(tmp_path, prompt='user = "Sum up: {dialogue}"').columns == ("dialogue",)


def test_a_suite_needs_no_prompt_where_no_model_needs_it(tmp_path: Path) -> None:
    file = write_suite(tmp_path, more='[models.old]\npredictions = "old.jsonl"\n')
    file.write_text(file.read_text().replace('[prompt]\nuser = "Sum up: {input}"\n', ""))
    assert load_suite(file).calls_nothing
    file.write_text(file.read_text() + '[models.own]\nmodel = "x"\nprompt = { user = "{input}" }\n')
    assert load_suite(file).models["own"].prompt == Prompt(user="{input}")


# ---------------------------------------------------------------- the file


def test_a_byte_order_mark_is_no_part_of_the_suite(whole: Path) -> None:
    whole.write_bytes(b"\xef\xbb\xbf" + whole.read_bytes())
    assert load_suite(whole).dataset.path == "knkarthick/samsum"


def test_a_git_lfs_pointer_names_the_command_that_fetches_the_suite(whole: Path) -> None:
    whole.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    assert refusal(load_suite, whole).endswith("samsum.toml: a Git LFS pointer and not the file itself. Fetch it: git lfs pull")
