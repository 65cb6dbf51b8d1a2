"""A mistake in the suite file is one message: the file and key, the value found, what is valid."""

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
from evaltape.errors import UserError
from evaltape.suite.definition import SERVICES
from evaltape.suite.reader import load_suite, read_suites
from hypothesis import given
from hypothesis import strategies as st

from tests.support.options import settings_of, workspace_of
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
JUDGE = """\
[metrics.kind]
judge = "kind"

[judges.kind]
model = "judge-1"
prompt = "Is {answer} kind?"
verdict = { json = "kind" }
"""
JUDGE_ERRORS = {
    # what was changed of GOOD and JUDGE: (a text, its replacement, the message)
    "no judge of that name": ('judge = "kind"', 'judge = "kin"', ": [metrics] kind names the judge 'kin', which isn't there. Did you mean 'kind'? Judges: kind"),
    "a judge without a name": ('model = "judge-1"\n', "", ": [judges.kind] model is missing; it takes a text"),
    "a judge without a prompt": ('prompt = "Is {answer} kind?"\n', "", ": [judges.kind] prompt is missing; it takes a text, or a table"),
    "a judge that sees no answer": ("{answer}", "it", ": [judges.kind] prompt never names {answer}, so every answer would get the same verdict"),
    "a mistyped name in a judge's prompt": ("{answer}", "{anser} {input}", "verdict. It names {anser}: did you mean {answer}?"),
    "a judge's table that sees no answer": ('"Is {answer} kind?"', '{ user = "{input}" }', ": [judges.kind.prompt] user never names {answer}"),
    "a judge with a lone brace": ("kind?", "kind{", ": [judges.kind] prompt : "),
    "a judge of a conversation": ('"Is {answer} kind?"', '{ conversation = "turns", system = "{answer}" }', ": [judges.kind.prompt] conversation is of samples"),
    "no verdict": ('verdict = { json = "kind" }', "", ": [judges.kind] verdict is missing; it takes a table"),
    "an empty verdict": ('{ json = "kind" }', "{}", ": [judges.kind.verdict] json or regex is missing"),
    "two verdicts": ('{ json = "kind" }', '{ json = "kind", regex = "(.)" }', ": [judges.kind.verdict] json and regex exclude each other"),
    "a verdict by no expression": ('{ json = "kind" }', '{ regex = "(" }', ": [judges.kind.verdict] regex = '(': not a regular expression: "),
    "a scale of one": ('json = "kind"', 'json = "kind", scale = [5]', ": [judges.kind.verdict] scale = [5]: it takes two numbers, the lower one first"),
    "a scale upside down": ('json = "kind"', 'json = "kind", scale = [5, 1]', ": [judges.kind.verdict] scale = [5, 1]: it takes two numbers, the lower one first"),
    "an exam of nothing": ('verdict =', 'exam = { mutants = [] }\nverdict =', ": [judges.kind.exam] mutants = []: with neither mutants nor labels it is no exam; name some of either"),
    "agreement without labels": ('verdict =', 'exam = { min_kappa = 0.6 }\nverdict =', ": [judges.kind.exam] min_kappa has no meaning without labels"),
    "a share over 1": ('verdict =', 'exam = { min_noticed = 80 }\nverdict =', ": [judges.kind.exam] min_noticed = 80: it takes a number from 0 to 1"),
    "a gate on a judge without an exam": ("rouge1 = 0.38", "kind = 0.9", ": [models.small] gates names 'kind', the metric of a judge without an exam: give it [judges.kind.exam], or say unexamined = true"),
    "a corrected mean without labels": ("rouge1 = 0.38", "kind_corrected = 0.9", ": [models.small] gates names 'kind_corrected', a mean corrected by people's labels: name their file in [judges.kind.exam] labels"),
    "a corrected mean of ROUGE": ("rouge1 = 0.38", "rouge1_corrected = 0.9", ": [models.small] gates names 'rouge1_corrected': rouge1 is no judge's metric, so no labels correct its mean"),
    "a judge called as a model": ("kind", "small", ": [judges] small is also the name of [models.small]; rename one"),
    "a judge called as a metric": ("[judges.kind]", '[judges.rouge1]\nmodel = "x"\nprompt = "{answer}"\nverdict = { json = "x" }\n[judges.kind]', ": [judges] rouge1 is also the name of [metrics] rouge1, which isn't its metric; rename one"),
    "a metric called as a corrected mean": ("[metrics.kind]", '[metrics.kind_corrected]\nfunction = "a:b"\n[metrics.kind]', ": [metrics] kind_corrected is how bounds name the mean of kind that labels correct; give the metric another name"),
}  # fmt: skip
MESSAGES = 'messages = [ { role = "user", content = "{input}" } ]'
ERRORS = {
    # what was changed: (a text of the suite, its replacement, the message behind the file's name)
    "unknown table": ("[metrics]", "[metricks]", ": metricks is not a key Evaltape knows. Did you mean 'metrics'? Valid here: dataset, models, prompt, prompts, defaults, request, answer, metrics, judges, finetune, compare, against, mutants"),
    "unknown table near none": ("[mutants]", "[zoo]\n[mutants]", ": zoo is not a key Evaltape knows. Valid here: dataset, models,"),
    "unknown price": ("output = 0.60", "output = 0.60, bach = 0.5", ": [models.small.price] bach is not a key Evaltape knows. Did you mean 'batch'? Valid here: input, output, batch"),
    "a batch factor over 1": ("output = 0.60", "output = 0.60, batch = 50", ": [models.small.price] batch = 50: it takes a number from 0 to 1"),
    "a price beyond any": ("output = 0.60", "output = 1e308", ": [models.small.price] output = 1e+308: it takes a number from 0 to 1,000,000"),
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
    "a mistyped name in a prompt": ("{input}", "{imput}", ": [prompt] user never names {input}, so every sample would be asked the same. It names {imput}: did you mean {input}?"),
    "prompt with a lone brace": ("{input}", "{input} {", ": [prompt] user : "),
    "prompt with an expression": ("{input}", "{input.x}", "{input.x} is not a column's name; for a brace in the text write {{ or }}"),
    "two prompts": ("[prompt]", f"[prompt]\n{MESSAGES}", ": [prompt] user and messages exclude each other: keep one of user, messages and conversation"),
    "prompt and conversation": ("[prompt]", '[prompt]\nconversation = "turns"', ": [prompt] user and conversation exclude each other"),
    "messages and system": ('user = "Summarise: {input}"', f'system = "Be brief."\n{MESSAGES}', ": [prompt] system has no meaning beside messages: leave one of them out"),
    "messages that are none": ('user = "Summarise: {input}"', "messages = []", ": [prompt] messages = []: it takes a list of tables"),
    "messages of a role": ('user = "Summarise: {input}"', MESSAGES.replace("user", "human"), ": [prompt.messages[0]] role = 'human': it takes 'assistant', 'developer', 'system' or 'user'"),
    "messages that end wrong": ('user = "Summarise: {input}"', MESSAGES.replace("user", "assistant"), ": [prompt] messages ends with another role than 'user'; a model answers the user's last message"),
    "messages without input": ('user = "Summarise: {input}"', MESSAGES.replace("{input}", "it"), ": [prompt] messages never names {input}, so every sample would be asked the same"),
    "own prompt without input": ('model = "small-1"', 'model = "small-1"\nprompt = { user = "Go!" }', ": [models.small.prompt] user never names {input}"),
    "own request key": ("temperature = 0.2", 'model = "x"', ": [request] model = 'x': Evaltape sends this one itself; leave it out"),
    "own request key of a model": ('model = "small-1"', 'model = "small-1"\nrequest = { stream = true }', ": [models.small.request] stream = true: Evaltape sends this one itself; leave it out"),
    "request with a date": ("temperature = 0.2", "temperature = 2026-01-01", ": [request] temperature = 2026-01-01: it takes what JSON has"),
    "request with no number": ("temperature = 0.2", "temperature = nan", ": [request] temperature = nan: it takes what JSON has"),
    "a gate beyond any": ("rouge1 = 0.38", "rouge1 = -1e300", ": [models.small.gates] rouge1 = -1e+300: it takes a finite number, or 'omit'; the largest number anywhere is 1,000,000,000,000,000"),
    "price without end": ("input = 0.15", "input = inf", ": [models.small.price] input = inf: it takes a number from 0"),
    "no metric": ('[metrics]\nrouge1 = {}\nrougeL = { stemmer = true }\nnames_kept = { function = "acme.metrics:names_kept" }', "[metrics]", ": [metrics] is empty; name at least one"),
    "unknown metric": ("rougeL = {", "rougel = {", ": [metrics] rougel is not built in. Did you mean 'rougeL'? Built in: rouge1, rouge2,"),
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
    "a metric called unscored": ("names_kept = {", "unscored = {", ": [metrics] unscored stands for something else in results"),
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
    "unknown leaks": ('split = "train"', 'split = "train", leaks = "keep"', ": [finetune.small-ft.train] leaks = 'keep': it takes 'drop' or 'error'"),
    "no epochs": ("n_epochs = 1", "n_epochs = 0", ": [finetune.small-ft.hyperparameters] n_epochs = 0: it takes a whole number from 1, or 'auto'"),
    "half an epoch": ("n_epochs = 1", "n_epochs = 1.5", ": [finetune.small-ft.hyperparameters] n_epochs = 1.5: it takes a whole number from 1, or 'auto'"),
    "unknown hyperparameter": ("n_epochs = 1", "epochs = 1", ": [finetune.small-ft.hyperparameters] epochs is not a key Evaltape knows. Did you mean 'n_epochs'?"),
    "unknown service": ('base = "small"', 'base = "small"\nservice = "azur"', f": [finetune.small-ft] service = 'azur': no service that Evaltape knows. Did you mean 'azure'? Known: {', '.join(SERVICES)}; one of your own: 'module:Class'"),
    "service that takes a class": ('base = "small"', 'base = "small"\nservice = "mistral"', ": [finetune.small-ft] service = 'mistral': not built in: its orders have another schema, and the API is deprecated. Name a class of your own, 'module:Class' (docs/hosts.md)"),
    "an address for a function": ('base = "small"', 'base = "small"\ndeploy = "acme/azure.py"', ": [finetune.small-ft] deploy = 'acme/azure.py': it takes 'module:function'"),
    "a hyperparameter that is a list": ("n_epochs = 1", "n_epochs = [1]", ": [finetune.small-ft.hyperparameters] n_epochs = [1]: it takes"),
    "answers of no model": ('split = "train"', 'recorded = "small"', ": [finetune.small-ft.train] recorded = 'small': it takes 'SUITE/MODEL'"),
    "answers of a mistyped model": ('split = "train"', 'recorded = "talks/smal"', ": [finetune.small-ft.train] recorded = 'talks/smal': no such model. Did you mean 'small'? Models: small, old, small-ft"),
    "answers of itself": ('split = "train"', 'recorded = "talks/small-ft"', ": [finetune.small-ft.train] recorded = 'talks/small-ft': it is the tuned model itself"),
    "answers and rows": ('split = "train"', 'split = "train", recorded = "talks/small"', ": [finetune.small-ft.train] split has no meaning beside recorded: leave one of them out"),
    "unknown candidate": ('candidate = "small-ft"', 'candidate = "smallft"', ": [compare.tuning-helps] candidate = 'smallft': no such model. Did you mean 'small-ft'? Models: small, old, small-ft"),
    "compared with itself": ('candidate = "small-ft"', 'candidate = "small"', ": [compare.tuning-helps] candidate = 'small': it is the baseline, too; compare two models"),
    # prompts, defaults and answers
    "a prompt by no folder": ("[request]", "[prompts.'a b']\nuser = '{input}'\n[request]", ": [prompts] a b can't be a test id and a folder's name"),
    "a further prompt without input": ("[request]", "[prompts.terse]\nuser = 'Go'\n[request]", ": [prompts.terse] user never names {input}"),
    "a model by the name of another with a prompt": ("[models.old]", "[models.small-terse]\nmodel = 'x'\n[prompts.terse]\nuser = '{input}'\n[models.old]", ": [models] small-terse and [models.small] would share one cassette folder; rename one"),
    "a job by the name of a model with a prompt": ("[request]", "[prompts.ft]\nuser = '{input}'\n[request]", ": [finetune] small-ft and [models.small] would share one cassette folder; rename one"),
    "a base with a prompt that isn't there": ('base = "small"', 'base = "small-ters"\ntrain = {}\n[prompts.terse]\nuser = "{input}"\n[finetune.x]\nbase = "small"', ": [finetune.small-ft] base = 'small-ters': no such model. Did you mean 'small-terse'? Under [models]: small, small-terse, old"),
    "an unknown default": ("[request]", "[defaults]\nallow_failed = 1\n[request]", ": [defaults] allow_failed is not a key Evaltape knows. Valid here: base_url, api_key_env, request, answer, price, gates"),
    "a default address without scheme": ("[request]", "[defaults]\nbase_url = 'host'\n[request]", ": [defaults] base_url = 'host': it takes an address like"),
    "a default key for a variable": ("[request]", "[defaults]\napi_key_env = 'sk-1'\n[request]", ": [defaults] api_key_env takes the name of an environment variable, never a key"),
    "a default gate on no metric": ("[request]", "[defaults]\ngates = { rouge9 = 1 }\n[request]", ": [defaults] gates names 'rouge9', no metric of this suite."),
    "unknown step of an answer": ("[request]", "[answer]\nbefore = 'x'\n[request]", ": [answer] before is not a key Evaltape knows."),
    "an answer by no expression": ("[request]", "[answer]\nregex = '(a'\n[request]", ": [answer] regex = '(a': not a regular expression: missing ), unterminated subpattern at position 0"),
    "a model's answer by no function": ('model = "small-1"', 'model = "small-1"\nanswer = { function = "clean" }', ": [models.small.answer] function = 'clean': it takes 'module:function'"),
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


@pytest.mark.parametrize(("old", "new", "message"), JUDGE_ERRORS.values(), ids=JUDGE_ERRORS)
def test_a_mistake_about_judges_is_told_likewise(
    old: str, new: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    good = f"{GOOD}\n{JUDGE}"
    count = -1 if old == "kind" else 1
    assert old in good
    Path("talks.toml").write_text(good, encoding="utf-8")
    assert list(load_suite(Path("talks.toml")).judges) == ["kind"]
    Path("talks.toml").write_text(good.replace(old, new, count), encoding="utf-8")
    assert message in refusal(Path("talks.toml"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("temperature = 0.2", "a." * 3000 + "b = 1", "[request] a = ...: it takes what JSON has, at most 64 levels deep"),
        ("seed = 42", "a." * 3000 + "b = 1", "[dataset] a is not a key Evaltape knows."),
        ("seed = 42", "seed." + "a." * 3000 + "b = 1", "[dataset] seed = ...: it takes a whole number from 0"),
        ("seed = 42", f"seed = 0x{'f' * 5000}", "[dataset] seed = ...: it takes a whole number from 0; the largest number"),
        ("temperature = 0.2", f"x = {'[' * 2000}{']' * 2000}", "not a readable TOML file: "),
    ],
    ids=["deep", "deep and unknown", "deep for a number", "many digits", "deep lists"],
)
def test_what_is_too_large_for_a_message_is_refused_in_one(old: str, new: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "talks.toml").write_text(GOOD.replace(old, new, 1))
    assert message in refusal(tmp_path / "talks.toml")


def test_a_prompt_that_no_model_is_tested_with_is_refused(tmp_path: Path) -> None:
    own = GOOD.replace('model = "small-1"', 'model = "small-1"\nprompt = { user = "{input}" }')
    (tmp_path / "talks.toml").write_text(f"{own}\n[prompts.terse]\nuser = '{{input}}'\n")
    told = refusal(tmp_path / "talks.toml")
    assert told.endswith(": [prompts] terse is no model's: each has a prompt of its own, or answers from a file")


def test_globs_are_read_in_folders_with_brackets_in_their_names(tmp_path: Path) -> None:
    project = Project(tmp_path / "my [new] work*", "http://127.0.0.1:9/v1")
    (project.root / "pytest.ini").write_text("[pytest]\neval_suite = evals/suites/*.toml\n")
    odd = project.suite.parent / "[old]"
    odd.mkdir()
    (odd / "a.toml").write_text(GOOD)
    assert settings_of(project.root, "evals").suites == (project.suite,)
    assert settings_of(project.root, "--suite", "evals/suites/[[]old]/*.toml").suites == (odd / "a.toml",)
    assert settings_of(project.root, "--suite", f"{odd}/*.toml").suites == (odd / "a.toml",)
    assert settings_of(project.root, "--suite", "evals/**/*.toml").suites == (odd / "a.toml", project.suite)
    told = refused(settings_of, project.root, "--suite", "evals/[old]/*.toml")
    assert told == "--suite evals/[old]/*.toml: no suite file matches. A suite file ends with .toml"


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
    text = data.draw(st.sampled_from([GOOD, f"{GOOD}\n{JUDGE}"]))
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
def test_a_mistake_in_the_options_is_one_message(project: Project, args: list[str], message: str) -> None:
    assert message in refused(read_suites_of, project.root, "evals", "-m", "baseline", *args)


def read_suites_of(*args: Any) -> None:
    read_suites(settings_of(*args).suites)


def test_recording_without_a_key_is_refused_before_any_call(project: Project) -> None:
    project.edit_suite(f'base_url = "{project.base_url}"\n', "")
    run = project.run("evals", "-m", "baseline", "--record")
    run.assert_refused("small: its API takes a key, and OPENAI_API_KEY is not set.")
    assert re.search(r"a replay needs no key", run.output)


def test_replay_without_a_recording_says_how_to_record(project: Project) -> None:
    workspace = workspace_of(project, "evals", "-m", "baseline")
    with contextlib.chdir(project.root):
        assert refused(lambda: workspace.samples) == (
            "evals/suites/chats.toml: no recording of this suite in cassettes/chats yet. "
            "Record it: pytest evals --record-missing (costs 6 calls)"
        )


def test_a_merge_conflict_is_called_one(tmp_path: Path) -> None:
    suite = tmp_path / "talks.toml"
    suite.write_text("<<<<<<< HEAD\n[dataset]\n=======\n[dataset]\n>>>>>>> other\n")
    with pytest.raises(UserError, match=r"talks\.toml: holds the conflict markers of a git merge\. .*git checkout --ours"):
        load_suite(suite)
