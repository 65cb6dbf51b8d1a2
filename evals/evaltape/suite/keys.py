"""The keys of a suite file: the one list that the reader checks a file by and that `evaltape schema` prints.

Paths are relative to the suite file.
"""

from evaltape.suite.kinds import Either, Flag, Json, Number, Text, Texts
from evaltape.suite.prompt import ROLES
from evaltape.suite.tables import Open, Section, Sections

SENT_BY_EVALTAPE = ("messages", "model", "stream", "n")
"""Keys of a call's body that no `request` may set."""
FUNCTION = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*"
"""`module:function`."""
HYPERPARAMETERS = ("n_epochs", "batch_size", "learning_rate_multiplier")

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
            required=True,
            pattern=FUNCTION,
            words="'module:function'",
            about="A function of sample and answer, as 'module:function'.",
        )
    },
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


def _bounds(about: str) -> Open:
    return Open(other=BOUND, about=about)


def _price(**training: Number) -> Section:
    usd = Number(required=True, least=0, about="USD per million tokens.")
    return Section(about="USD per million tokens.", keys={**training, "input": usd, "output": usd})


GATES = _bounds("Per metric the bound on the mean score.")
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
        "price": _price(),
        "gates": GATES,
        "slice_gates": SLICE_GATES,
        "allow_failed": ALLOW_FAILED,
    },
    one_of=("model", "predictions"),
    without={"predictions": ("base_url", "api_key_env", "request", "prompt", "price")},
)
TRAIN = Section(
    about="The rows to train on.",
    required=True,
    keys={
        "split": Text(default="train"),
        "samples": SAMPLES,
        "seed": SEED,
        "leaks": Text(
            choices=("error", "drop"),
            default="error",
            about="Training rows that are also evaluated: refuse them, or leave them out.",
        ),
    },
)
VALIDATION = Section(
    about="The rows the API measures its validation loss on.",
    keys={"split": Text(default="validation"), "samples": SAMPLES, "seed": SEED},
)
_AUTO = Text(choices=("auto",))
FINETUNE = Section(
    keys={
        "base": Text(required=True, about="A key under [models]."),
        "train": TRAIN,
        "validation": VALIDATION,
        "suffix": Text(about="A part of the tuned model's name."),
        "seed": Number(whole=True, about="The seed of the training."),
        "hyperparameters": Section(
            about="What is absent is left to the API.",
            keys={
                "n_epochs": Either(kinds=(Number(whole=True, least=1), _AUTO)),
                "batch_size": Either(kinds=(Number(whole=True, least=1), _AUTO)),
                "learning_rate_multiplier": Either(kinds=(Number(over=0), _AUTO)),
            },
        ),
        "poll_seconds": Number(over=0, default=30.0, about="How often the API is asked for the job's state."),
        "price": _price(training=Number(required=True, least=0, about="USD per million trained tokens.")),
        "gates": GATES,
        "slice_gates": SLICE_GATES,
        "allow_failed": ALLOW_FAILED,
    }
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
        "request": REQUEST,
        "metrics": METRICS,
        "models": Open(other=MODEL, required=True, filled=True, about="The models under test."),
        "finetune": Open(other=FINETUNE, about="Fine-tuning jobs; each tuned model is a model under test."),
        "compare": Open(other=COMPARISON, about="Paired assertions between two models."),
        "against": AGAINST,
        "mutants": MUTANTS,
    },
)
