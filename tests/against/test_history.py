"""`--history`: the scores of earlier commits by today's metrics, and the commit at which a model fell."""

import json
import re
import shutil
from pathlib import Path

import pytest
from evaltape.against.history import Histories
from evaltape.errors import UserError

from tests.against.conftest import rewrite_answer
from tests.support.git import commit, git
from tests.support.options import settings_of
from tests.support.project import Project, Run


def lines_of(run: Run) -> list[str]:
    """The lines under the heading of the suite."""
    assert run.exit_code == 0, run.output
    return run.output[run.output.index("= history: chats =") :].split("\n\n")[0].splitlines()[1:]


def test_each_commit_has_its_means_and_a_fall_is_named(repository: Project) -> None:
    root = repository.root
    git(root, "switch", "--quiet", "worse")
    (root / "unrelated.txt").write_text("no recording\n")
    commit(root, "no recording changed")
    rewrite_answer(repository, "t01", "nothing in common")
    one_worse = commit(root, "one answer is worse")
    repository.cassette("t02").write_text("no cassette")
    unread = commit(root, "a cassette that can't be read")
    (root / "cassettes/chats/samples.jsonl").write_text("no samples\n")
    broken = commit(root, "samples that can't be read")
    git(root, "checkout", "--quiet", "HEAD~3", "--", "cassettes")
    back = commit(root, "back to the worse prompt")
    base, worse = (git(root, "rev-parse", name)[:10] for name in ("base", "HEAD~5"))

    before = repository.files()
    lines = lines_of(repository.run("evals", "--history", "-n", "2"))
    assert {name: text for name, text in repository.files().items() if ".pytest_cache" not in name} == {
        name: text for name, text in before.items() if ".pytest_cache" not in name
    }
    assert lines[0] == "small: 6 commits with recordings of the suite"
    assert lines[1].split() == ["commit", "day", "samples", "rouge1", "rouge2", "rougeL"]
    ids = [each[:10] for each in (back, broken, unread, one_worse, worse, base)]
    found = {line.split()[0]: line.split()[2:] for line in lines if line.split()[0] in ids}
    # By hand: 13 summaries of 6 words, 14 of 8 and 13 of 10, of which the first lines have 4, in 5 words.
    mean = (13 * 8 / 11 + 14 * 8 / 13 + 13 * 8 / 15) / 40
    assert found[base][:2] == ["40", f"{mean:.4f}"]
    assert list(found) == ids  # Newest first.
    assert found[unread[:10]][0] == "39" and found[one_worse[:10]][0] == "40"
    assert found[worse] == found[back[:10]]
    assert "not read: " in " ".join(found[broken[:10]]) and "not a frozen sample" in "\n".join(lines)
    falls = [line for line in lines if line.startswith("  Fell at ")]
    assert falls and all(line.startswith(f"  Fell at {worse} of ") for line in falls), falls
    assert ": rouge1 -0." in falls[0] and "90% interval -0." in " ".join(lines)

    two = lines_of(repository.run("evals", "--history", "2"))
    assert two[0] == "small: 2 commits with recordings of the suite"
    assert two[-1] == "  Not checked: it takes two commits."


def test_beside_a_file_the_tests_run_and_the_file_has_the_history(repository: Project) -> None:
    git(repository.root, "switch", "--quiet", "worse")
    run = repository.run("evals", "--history", "-n", "2", "--report", "report.html", "--results", "results.json")
    assert run.exit_code == 0, run.output
    assert "1 of 1 gate holds" in run.output
    assert lines_of(run)[0] == "small: 2 commits with recordings of the suite"
    results = json.loads((repository.root / "results.json").read_text())["suites"]["chats"]
    before, after = results["history"]["small"]
    assert results["models"]["small"]["gates"]["rouge1"]["verdict"] == "passed"
    assert (before["commit"], after["commit"]) == tuple(git(repository.root, "rev-parse", name) for name in ("base", "HEAD"))
    assert "falls" not in before and before["samples"] == after["samples"] == 40
    fall = after["falls"]["rouge1"]
    assert fall["difference"] == pytest.approx(after["scores"]["rouge1"] - before["scores"]["rouge1"])
    assert fall["low"] < fall["difference"] < fall["high"] < 0
    page = (repository.root / "report.html").read_text()
    assert json.dumps(results["history"], separators=(",", ":")) in page


def test_where_answers_were_repeated_their_noise_decides(repository: Project) -> None:
    root = repository.root
    git(root, "switch", "--quiet", "worse")
    rewrite_answer(repository, "t01", "nothing in common")
    one_worse = commit(root, "one answer is worse")
    assert not [line for line in lines_of(repository.run("evals", "--history", "2")) if "Fell" in line]
    # A word more in ten of the repeats moves the mean by less than the 0.0154 that the worse answer took.
    for number in range(1, 41):
        first, again = (repository.cassette(f"t{number:02d}{repeat}") for repeat in ("", ".repeat-2"))
        text = first.read_text()
        again.write_text(
            re.sub(r'"content": "([^"]*)", "refusal"', r'"content": "oh \1", "refusal"', text) if number > 30 else text
        )
    lines = lines_of(repository.run("evals", "--history", "2"))
    fell = [line for line in " ".join(lines).split("  Fell at ") if "rouge1 -" in line]
    assert len(fell) == 1 and fell[0].startswith(one_worse[:10]) and "by its repeats 0.0" in fell[0], lines


def test_where_there_is_no_history_one_message_says_so(repository: Project, tmp_path: Path) -> None:
    root, shallow = repository.root, tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth", "1", root.as_uri(), str(shallow))
    with pytest.raises(UserError, match=r"this clone is shallow and lacks earlier commits\. Fetch them: git fetch --unshallow"):
        Histories(shallow, 10)
    shutil.rmtree(root / ".git")
    with pytest.raises(
        UserError, match=r"--history reads recordings from git, and .* is in no git repository that can be read"
    ):
        Histories(root, 10)
    (root / ".gitignore").write_text("cassettes/\n")
    commit(root, "no recording")
    run = repository.run("evals", "--history")
    run.assert_refused("--history: no commit here has recordings (cassettes/chats). Commit them first")


def test_options_that_make_no_sense_with_it_are_refused(repository: Project) -> None:
    for words in (["--record"], ["--suggest"], ["--against", "HEAD"], ["--samples", "3"]):
        with pytest.raises(UserError, match="runs no test: leave out --"):
            settings_of(repository.root, "evals", "--history", *words)
    with pytest.raises(UserError, match="--history 0: it takes a whole number from 1"):
        settings_of(repository.root, "evals", "--history", "0")
    with pytest.raises(UserError, match="--history lists the scores of earlier commits: leave out --record"):
        settings_of(repository.root, "evals", "--history", "--report", "r.html", "--record")
    assert settings_of(repository.root, "evals", "--history").history == 10
