"""The keys of a suite file: the one list that the reader checks a file by and that `evaltape schema` prints.

Paths are relative to the suite file.
"""

from evaltape.suite.kinds import Either, Flag, Json, Number, Pair, Text, Texts
from evaltape.suite.prompt import ROLES
from evaltape.suite.tables import Open, Section, Sections

SENT_BY_EVALTAPE = ("messages", "model", "stream", "n")
"""Keys of a call's body that no `request` may set."""
FUNCTION = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*"
"""`module:function`."""
SERVICES = ("openai", "azure", "nebius", "bedrock")
"""Services whose ways of fine-tuning are known."""
MOST_USD = 1e6
"""The greatest price per million tokens: a dollar a token."""

# ---------------------------------------------------------------- the data set

SEED = Number(whole=True, least=0, about="Rows are taken after datasets' shuffle(seed=...). Absent: in their order.")
SAMPLES = Number(whole=True, least=1, about="How many rows; all of them when absent.")
PATH = "A Hub data set; a .jsonl, .json, .csv or .parquet file; or a folder with a file per split."
COLUMN = Text(words="a column's name")

FIELDS = Section(
    about="The columns that hold the parts of a sample.",
    keys={
        "id": Text(words="a column's name", about="Absent: the first 12 hex digits of the SHA-256 of the input."),
        "input": Text(words="a column's name", about="Absent beside a conversation: its turns as text. Default: dialogue."),
        "reference": Either(
            kinds=(COLUMN, Texts()),
            about="A column of texts or of lists of texts, or a list of columns.",
            default="summary",
        ),
    },
)
DATASET = Section(
    about="What is evaluated.",
    required=True,
    keys={
        "path": Text(required=True, about=PATH),
        "revision": Text(about="Of a Hub data set: a branch, tag or commit."),
        "split": Text(default="validation", about="The split that is evaluated."),
        "samples": SAMPLES,
        "seed": SEED,
        "fields": FIELDS,
        "slices": Texts(about="Columns to score apart."),
        "slice_min": Number(whole=True, least=1, default=20, about="Smaller slices are shown, not gated."),
        "cluster": Text(words="a column's name", about="The column whose rows are not independent of each other."),
        "keep": Texts(about="Further columns, for tests and metrics."),
    },
)

# ---------------------------------------------------------------- what is asked

MESSAGE = Section(
    keys={
        "role": Text(required=True, choices=ROLES),
        "content": Text(required=True, about="May name {input} and any other column."),
    }
)
PROMPT = Section(
    about="What models are asked; {input} and every other column are replaced by the sample's.",
    keys={
        "user": Text(about="The user's message."),
        "system": Text(about="The system message before it."),
        "messages": Sections(each=MESSAGE, about="All messages, for few-shot prompts."),
        "conversation": Text(words="a column's name", about="A column that holds the messages, { role, content } each."),
    },
    one_of=("user", "messages", "conversation"),
    without={"messages": ("system",)},
)
REQUEST = Open(
    other=Json(),
    refused=SENT_BY_EVALTAPE,
    about="Sent with every call. A model overrides a key, or removes it by the value 'omit'.",
)

ANSWER = Section(
    about="The part of the recorded text that is scored: these steps, in the order of the file.",
    keys={
        "after": Text(about="The text after its last occurrence, as '</think>'."),
        "json": Text(about="The value of a key of a JSON object, in a code fence or bare."),
        "regex": Text(about="The first group of a pattern, or all that it finds."),
        "function": Text(pattern=FUNCTION, words="'module:function'", about="A function of the text, as 'module:function'."),
    },
)

# ---------------------------------------------------------------- metrics

REFERENCES = Text(choices=("best", "mean"), default="best", about="Of several references: the best score, or the mean.")
ROUGE = Section(
    about="ROUGE by rouge_score, F1 in 0..1.",
    keys={
        "stemmer": Flag(default=False, about="Whether words are compared by their Porter stems."),
        "tokenizer": Text(
            pattern=f"rouge|unicode|{FUNCTION}",
            words="'rouge' (a-z and 0-9), 'unicode', or 'module:function'",
            default="rouge",
            about="'rouge' (a-z and 0-9), 'unicode', or a function of your own as 'module:function'.",
        ),
        "references": REFERENCES,
    },
)
OVERLAP = Section(about="By sacrebleu, per sample, in 0..1; needs the extra `metrics`.", keys={"references": REFERENCES})
EXACT = Section(about="1 if the answer is a reference, 0 if it isn't.", keys={"references": REFERENCES})
WORDS = Section(about="How many words the answer has.", keys={})
LATENCY = Section(about="Seconds the call took when it was recorded.", keys={})
COST = Section(about="USD the call cost when it was recorded.", keys={})
OWN = Section(
    about="A metric of your own.",
    keys={
        "function": Text(
            pattern=FUNCTION,
            words="'module:function'",
            about="A function of sample and answer, as 'module:function'.",
        ),
        "judge": Text(about="A key under [judges]."),
    },
    one_of=("function", "judge"),
)
BUILT_IN = {
    **{f"rouge{n}": ROUGE for n in range(1, 10)},
    "rougeL": ROUGE,
    "rougeLsum": ROUGE,
    "chrf": OVERLAP,
    "bleu": OVERLAP,
    "exact": EXACT,
    "words": WORDS,
    "latency_s": LATENCY,
    "cost_usd": COST,
}
METRICS = Open(other=OWN, known=BUILT_IN, filled=True, about="In the order they are shown. Absent: rouge1, rouge2, rougeL.")

# ---------------------------------------------------------------- models and jobs

BOUND, DROP = Number(), Number(least=0)
SHARE = Number(least=0, most=1)


def _bounds(about: str) -> Open:
    return Open(other=BOUND, about=about)


def _price(**training: Number) -> Section:
    usd = Number(required=True, least=0, most=MOST_USD, about="USD per million tokens.")
    batch = Number(least=0, most=1, default=1.0, about="The factor of a price through the Batch API.")
    return Section(about="USD per million tokens.", keys={**training, "input": usd, "output": usd, "batch": batch})


GATES = Open(
    other=Either(kinds=(BOUND, Text(choices=("omit",)))),
    about="Per metric the bound on the mean score; 'omit' removes one of [defaults].",
)
SLICE_GATES = _bounds("Per metric the bound that no slice may be clearly beyond.")
ALLOW_FAILED = Number(whole=True, least=0, default=0, about="How many failed samples the gates put up with.")

MODEL = Section(
    keys={
        "model": Text(about="The name the model is asked by."),
        "predictions": Text(about="In place of a model: a file of answers, id and prediction a line."),
        "base_url": Text(about="Any address that speaks OpenAI's API, like http://127.0.0.1:8000/v1."),
        "api_key_env": Text(default="OPENAI_API_KEY", about="The name of the variable that holds the key; never a key."),
        "request": REQUEST,
        "prompt": PROMPT,
        "answer": ANSWER,
        "price": _price(),
        "gates": GATES,
        "slice_gates": SLICE_GATES,
        "allow_failed": ALLOW_FAILED,
    },
    one_of=("model", "predictions"),
    without={"predictions": ("base_url", "api_key_env", "request", "prompt", "price")},
)
DEFAULTS = Section(
    about="For every model that doesn't say otherwise.",
    keys={key: MODEL.keys[key] for key in ("base_url", "api_key_env", "request", "answer", "price", "gates")},
)
TRAIN = Section(
    about="The rows to train on.",
    required=True,
    keys={
        "split": Text(default="train"),
        "recorded": Text(
            pattern="[^/]+/[^/]+",
            words="'SUITE/MODEL'",
            about="In place of a split: a model's recorded answers, as 'SUITE/MODEL'.",
        ),
        "samples": SAMPLES,
        "seed": SEED,
        "leaks": Text(
            choices=("error", "drop"),
            default="error",
            about="Training rows that are also evaluated: refuse them, or leave them out.",
        ),
    },
    without={"recorded": ("split",)},
)
VALIDATION = Section(
    about="The rows the API measures its validation loss on.",
    keys={"split": Text(default="validation"), "samples": SAMPLES, "seed": SEED},
)
_AUTO = Text(choices=("auto",))
OPENAI_HYPERPARAMETERS = {
    "n_epochs": Either(kinds=(Number(whole=True, least=1), _AUTO)),
    "batch_size": Either(kinds=(Number(whole=True, least=1), _AUTO)),
    "learning_rate_multiplier": Either(kinds=(Number(over=0), _AUTO)),
}
SETTING = Either(kinds=(Flag(), Number(whole=True), Number(), Text()))
FINETUNE = Section(
    keys={
        "base": Text(required=True, about="A key under [models]."),
        "train": TRAIN,
        "validation": VALIDATION,
        "suffix": Text(about="A part of the tuned model's name."),
        "seed": Number(whole=True, about="The seed of the training."),
        "hyperparameters": Open(
            other=SETTING,
            about="By the service's names; OpenAI's are n_epochs, batch_size, learning_rate_multiplier.",
        ),
        "service": Text(default="openai", about="Whose ways the API has: openai, azure, nebius, bedrock, or 'module:Class'."),
        "extra": Open(other=Json(), about="Further keys of the order of the job."),
        "deploy": Text(
            pattern=FUNCTION, words="'module:function'", about="A function that deploys the tuned model and returns its name."
        ),
        "poll_seconds": Number(over=0, default=30.0, about="How often the API is asked for the job's state."),
        "price": _price(training=Number(required=True, least=0, about="USD per million trained tokens.")),
        "gates": GATES,
        "slice_gates": SLICE_GATES,
        "allow_failed": ALLOW_FAILED,
    }
)

# ---------------------------------------------------------------- judges

VERDICT = Section(
    about="How a judge's answer is read.",
    required=True,
    keys={
        "json": Text(about="A key of a JSON object."),
        "regex": Text(about="A pattern whose first group is the verdict."),
        "scale": Pair(about="The lowest and the highest number. Absent: the verdict is true or false."),
    },
    one_of=("json", "regex"),
)
EXAM = Section(
    about="What the judge must pass before a gate may rest on it.",
    keys={
        "mutants": Texts(default=None, empty=True, about="Damages it must notice. Absent: all that harm; []: none."),
        "samples": Number(whole=True, least=1, default=20, about="How many of each are judged."),
        "min_noticed": Number(least=0, most=1, default=0.8, about="The least share of each damage that it must notice."),
        "max_alarms": Number(
            least=0, most=1, default=0.1, about="The greatest share of good answers that it may find fault with."
        ),
        "labels": Text(about="A file of people's verdicts, id, answer and label a line."),
        "min_kappa": Number(least=0, most=1, default=0.6, about="The least agreement with the labels, Cohen's kappa."),
    },
    needs={"min_kappa": "labels"},
)
JUDGE = Section(
    keys={
        "model": Text(required=True, about="The name the judge is asked by."),
        **{key: MODEL.keys[key] for key in ("base_url", "api_key_env", "request", "price")},
        "prompt": Either(
            kinds=(Text(), PROMPT), required=True, about="Names {answer}, and perhaps {input}, {reference} and columns."
        ),
        "verdict": VERDICT,
        "unexamined": Flag(default=False, about="Whether gates may rest on it without an exam."),
        "exam": EXAM,
    },
)

# ---------------------------------------------------------------- what is asserted of pairs

COMPARISON = Section(
    keys={
        "baseline": Text(required=True, about="A key under [models] or [finetune]."),
        "candidate": Text(required=True, about="A key under [models] or [finetune]."),
        "min_gain": _bounds("Per metric by how much the candidate has to be better."),
        "max_drop": Open(other=DROP, about="Per metric by how much the candidate may be worse."),
        "confidence": Number(least=0.5, under=1, default=0.95, about="One-sided."),
        "inconclusive": Text(choices=("fail", "skip"), default="fail", about="What becomes of a test that can't be decided."),
    },
    any_of=("min_gain", "max_drop"),
)
AGAINST = Section(
    about="Asserted if --against is given.",
    keys={"max_drop": Open(other=DROP, required=True, filled=True, about="Per metric by how much the mean may be worse.")},
)
MUTANTS = Section(
    about="Which damages --mutate tries. Absent: all that are built in.",
    keys={
        "operators": Texts(about="Names of built-in operators, or 'module:function'."),
        "noticed_at": Number(over=0, most=1, about="The share of damaged answers at which some gate has to fail."),
    },
)

SUITE = Section(
    about="A suite of Evaltape: what is evaluated.",
    keys={
        "dataset": DATASET,
        "prompt": PROMPT,
        "prompts": Open(other=PROMPT, about="Further prompts: models without one of their own are tested with each."),
        "defaults": DEFAULTS,
        "request": REQUEST,
        "answer": ANSWER,
        "metrics": METRICS,
        "judges": Open(other=JUDGE, about="Models that score answers."),
        "models": Open(other=MODEL, required=True, filled=True, about="The models under test."),
        "finetune": Open(other=FINETUNE, about="Fine-tuning jobs; each tuned model is a model under test."),
        "compare": Open(other=COMPARISON, about="Paired assertions between two models."),
        "against": AGAINST,
        "mutants": MUTANTS,
    },
)
