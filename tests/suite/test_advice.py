"""Messages that end in a paid command: each says what it costs, and there is no other place that names one."""

import ast
from collections.abc import Iterator
from pathlib import Path

import evaltape
from evaltape.suite.commands import COSTS, Advice

from tests.support.git import commit, git
from tests.support.options import failures_of
from tests.support.project import ROWS, Project
from tests.support.suites import refusal

PACKAGE = Path(evaltape.__file__).parent
PAID = {"record_missing", "record_all", "retrain"}
BUILT_IN = {
    # Commands of `Commands`, by module and function: each becomes an `Advice`, or stands beside its cost.
    "evaluation.py:_with_errors": "an Advice: one call of the judge",
    "finetuning/jobs.py:job": "costs a job and its calls",
    "finetuning/jobs.py:prepare": "costs a job and its calls; to go on with one costs what is missing",
    "finetuning/training_file.py:_answers": "an Advice",
    "hooks/collect.py:_remedy": "compares commands",
    "hooks/collect.py:_causes": "the cause says how many calls of the judge",
    "recorder/batches/engine.py:__init__": "collects what is paid for",
    "recorder/plan.py:_refuse_submitted": "collects what is paid for",
    "reporting/remarks.py:left_lines": "a line has calls and price",
    "reporting/remarks.py:retirement_lines": "an Advice",
    "workspace.py:_loaded": "samples.suite_samples makes an Advice of it",
    "workspace.py:_to_record": "the Advice of what is missing",
    "workspace.py:_verdict": "an Advice",
    "workspace.py:exams": "an Advice",
}


def functions() -> Iterator[tuple[str, ast.AST]]:
    """The functions of the modules that may name such a command."""
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text()
        if not any(name in text for name in PAID):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(PACKAGE).as_posix()}:{node.name}", node


def test_every_place_that_names_a_paid_command_is_in_the_list() -> None:
    found = {
        name
        for name, function in functions()
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in PAID
    }
    assert found == set(BUILT_IN)


def test_an_advice_is_spelled_in_one_way() -> None:
    assert str(Advice("pytest --record")) == "pytest --record (costs what --estimate says)"
    assert str(Advice("pytest --record", 0)) == "pytest --record (costs no call)"
    assert str(Advice("pytest --record", 1, 0.5)) == "pytest --record (costs 1 call, at most $0.5000)"
    assert str(Advice("x", 1200, jobs=1, free="y")) == "x (costs 1 fine-tuning job, 1,200 calls; free: y)"
    assert str(Advice("x", 1)).partition(COSTS)[0] == "x"


def told(project: Project) -> str:
    return " ".join(project.run("evals", "-m", "baseline", "-k", "test_sample", "-p", "no:xdist").output.split())


def test_the_free_way_to_a_recording_is_named_where_there_is_one(recorded: Project) -> None:
    recorded.extend_suite("price = { input = 1000, output = 1000 }\n")
    recorded.edit_suite("temperature = 0", "temperature = 0\nmax_tokens = 100")
    shell = recorded.root
    assert "It costs 6 calls, at most $" in told(recorded)
    recorded.edit_suite("temperature = 0\nmax_tokens = 100", "temperature = 0")
    commit(shell, "recorded")
    recorded.edit_suite("[models.small]", "[models.tiny]")
    way = "git mv cassettes/chats/small cassettes/chats/tiny"
    assert f"free: {way}" in told(recorded)
    git(shell, *way.split()[1:])
    assert failures_of(recorded, "tiny") == {}
    git(shell, "reset", "--quiet", "--hard")
    recorded.cassette("t1").unlink()
    message = failures_of(recorded)["t1"]
    assert "(costs 1 call, at most $" in message
    assert message.endswith("; free: git checkout -- cassettes/chats/small)")
    git(shell, "checkout", "--", "cassettes/chats/small")
    recorded.edit_suite("Summarise", "Summarize")
    assert failures_of(recorded)["t6"].endswith("; free: git checkout -- evals/suites/chats.toml)")
    git(shell, "checkout", "--", "evals")
    recorded.write_rows([{**ROWS[0], "dialogue": "Ben: other"}, *ROWS[1:]])
    message = refusal(failures_of, recorded)
    assert "(costs 1 call, at most $" in message
    assert message.endswith("; free: git checkout -- evals/data/talks.jsonl)")
    git(shell, "checkout", "--", "evals")
    git(shell, "sparse-checkout", "set", "--no-cone", "/*", "!/cassettes/chats/small")
    assert "; free: git sparse-checkout add cassettes/chats" in failures_of(recorded)["t1"]


def test_a_merge_conflict_is_told_with_the_way_that_calls_nothing(recorded: Project) -> None:
    def conflicted(path: Path) -> None:
        text = path.read_text()
        path.write_text(f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> other\n")

    conflicted(recorded.cassette("t1"))
    message = told(recorded)
    assert (
        "small/t1.yaml: holds the conflict markers of a git merge. Take one side whole (or --theirs): git checkout --ours"
        in message
    )
    recorded.run("evals", "--record-missing").assert_refused(
        "which calls nothing: git checkout --ours -- cassettes/chats/small/t1.yaml"
    )
    conflicted(recorded.cassettes / "samples.jsonl")
    message = refusal(failures_of, recorded)
    assert "samples.jsonl: holds the conflict markers" in message
    assert "git checkout --ours -- cassettes/chats/samples.jsonl" in message
