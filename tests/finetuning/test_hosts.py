"""Every host of docs/hosts.md, by the suites and the code of that page, at servers in the hosts' shapes.

Which facts of a shape were seen in recorded answers, and which stand in a host's documentation alone, is said in
`tests/support/server/shapes.py`; Together's API is as its documentation shows it.
"""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from evaltape.finetuning.services import SERVICES
from evaltape.suite.definition import SERVICES as NAMES
from evaltape.suite.read_models import NOT_BUILT_IN
from evaltape.suite.reader import load_suite

from tests.support.forked import REPOSITORY
from tests.support.project import wait_for
from tests.support.server import ApiServer, Reply
from tests.support.server.jobs import Tuning
from tests.support.server.shapes import SHAPES
from tests.support.server.together import TogetherTuning
from tests.support.tuning import TuningProject

PAGE = (REPOSITORY / "docs/hosts.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"```(?:toml|python)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))
"""The files that the page shows, by path."""
SUITES = {Path(path).stem: text for path, text in BLOCKS.items() if path.endswith(".toml")}
PLAIN = """
[models.small]
model = "small-2026-01-01"
base_url = "https://api.example.com/v1"
api_key_env = "PLAIN_API_KEY"

[finetune.small-tuned]
base = "small"
train = { split = "train" }
suffix = "talks"
seed = 7
hyperparameters = { n_epochs = 1 }
"""
HOSTS = {**SUITES, "openai": PLAIN, "portkey": SUITES["portkey"], "nameless": PLAIN}
ORDERS = ("/fine_tuning/jobs", "/fine-tunes")


class Hosts:
    """A project with a suite for each host, and the hosts' servers."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self.servers = {name: stack.enter_context(ApiServer()) for name in HOSTS}
        self.project = TuningProject(root, self.servers["openai"])
        self.project.suite.unlink()
        self.names = {name: self._add(name, text) for name, text in HOSTS.items()}
        (root / "acme").mkdir()
        for path, text in BLOCKS.items():
            if path.endswith(".py"):
                (root / path).write_text(text)
        azure = self.servers["azure"]
        self.environment = {
            **{f"{name}_API_KEY": f"sk-{name.lower()}-0123456789abcdef" for name in ("PLAIN", *self._keys())},
            "AZURE_MANAGEMENT_URL": f"http://127.0.0.1:{azure.port}",
            "AZURE_ACCOUNT": "/subscriptions/1/resourceGroups/2/providers/Microsoft.CognitiveServices/accounts/acme",
            "AZURE_MANAGEMENT_TOKEN": "management-token",
            "AZURE_BASE_URL": azure.base_url,
            "AZURE_PAUSE_S": "0.05",
        }

    def _keys(self) -> list[str]:
        return re.findall(r'"(\w+)_API_KEY"', "".join(SUITES.values()))

    def _add(self, name: str, text: str) -> str:
        """Write a host's suite; the key of its tuned model."""
        server = self.servers[name]
        server.references = self.project.api.references
        server.tuning = TogetherTuning() if name == "together" else Tuning(quirks=SHAPES[name])
        text = re.sub(r'base_url = "[^"]*"', f'base_url = "{server.base_url}"', text)
        base = re.search(r'\nmodel = "([^"]*)"', text)
        assert base is not None
        server.models = {base[1]: None}
        tables = f"{text}poll_seconds = 0.05\ngates = {{ rouge1 = 0.9 }}\n"
        file = self.project.suite.with_name(f"{name}.toml")
        file.write_text(
            '[dataset]\npath = "../data/talks"\n[prompt]\nuser = "Summarise this conversation.\\n\\n{input}\\n"\n' + tables
        )
        return next(key for key, model in load_suite(file).models.items() if model.job)

    def args(self) -> list[str]:
        """What selects the suites."""
        return [f"--suite={self.project.suite.with_name(f'{name}.toml')}" for name in HOSTS]

    def ordered(self, name: str) -> int:
        """How many orders a host has had."""
        return sum(len(self.servers[name].asked(path)) for path in ORDERS)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """All of it, in one session that is killed while every job is under way, and another that goes on."""
    with ExitStack() as stack:
        hosts = Hosts(tmp_path_factory.mktemp("hosts") / "project", stack)
        stack.callback(hosts.project.end)
        for server in hosts.servers.values():
            server.tuning.step_s = 3600
        running = hosts.project.start(
            "evals", "-m finetuned", "--record", "-p no:xdist", *hosts.args(), environment=hosts.environment
        )
        wait_for(lambda: running.process.exitcode is not None or all(map(hosts.ordered, HOSTS)))
        assert running.process.exitcode is None, running.output
        running.kill()
        running.process.join()
        for server in hosts.servers.values():
            server.tuning.step_s = None
        yield hosts


def test_every_host_from_an_order_through_a_kill_to_a_gated_tuned_model_and_a_replay_without_keys(hosts: Hosts) -> None:
    project = hosts.project
    run = project.run(
        "evals",
        "-m finetuned",
        "-k",
        "not test_scores",
        "--record-missing",
        "-p no:xdist",
        *hosts.args(),
        environment=hosts.environment,
    )
    assert run.exit_code == 0, run.output
    trained = {name: len(server.tuning.paid) for name, server in hosts.servers.items()}
    assert (trained, {name: hosts.ordered(name) for name in HOSTS}) == (dict.fromkeys(HOSTS, 1), dict.fromkeys(HOSTS, 1))
    asked = {
        name: {call.json["model"] for call in server.asked() if call.json.get("max_tokens") != 1}
        for name, server in hosts.servers.items()
    }
    assert all(len(models) == 1 for models in asked.values()), asked
    assert asked["nebius"] == {"meta-llama/Llama-3.1-8B-Instruct-LoRa:samsum-job-0002-0"}
    assert asked["azure"] == {"evaltape-0002"}
    assert asked["together"] == {"acme/meta-llama/Meta-Llama-3.1-8B-Instruct-Reference-samsum-0002"}
    # The deployment lasted as long as the session.
    assert hosts.servers["azure"].tuning.deployments == {}
    assert "evaltape-0002 is undeployed" in run.output
    for server in hosts.servers.values():
        server.stop()
    results = project._results("evals", "-m finetuned", "-k", "not test_scores", "-p no:xdist", *hosts.args())["suites"]
    for name, key in hosts.names.items():
        assert results[name]["models"][key]["gates"]["rouge1"]["passed"] is True, name
        assert results[name]["models"][key]["served"] in asked[name]
        assert results[name]["jobs"][key]["status"] == "succeeded"
    untold = [name for name in HOSTS if results[name]["jobs"][hosts.names[name]]["trained_tokens"] is None]
    assert untold == ["azure", "nameless"]


def test_orders_are_in_each_hosts_own_form(hosts: Hosts) -> None:
    orders = {name: next(call.json for path in ORDERS for call in server.asked(path)) for name, server in hosts.servers.items()}
    assert orders["azure"]["trainingType"] == "globalStandard"
    assert orders["nebius"]["hyperparameters"]["lora_r"] == 16
    assert "method" not in orders["nebius"]
    assert "suffix" not in orders["bedrock"]
    assert orders["litellm"]["custom_llm_provider"] == "vertex_ai"
    assert orders["together"]["training_type"] == {"type": "Lora"}
    assert orders["zhipu"]["hyperparameters"] == {"n_epochs": 1, "learning_rate": 2}
    assert orders["openai"]["method"]["supervised"]["hyperparameters"] == {"n_epochs": 1}
    uploads = [call.fields["file"][1] for call in hosts.servers["azure"].asked("/files")]
    assert all(content.startswith(b"\xef\xbb\xbf") for content in uploads)
    assert len(uploads) == 1


def test_what_the_page_says_is_what_is_built_in() -> None:
    assert tuple(SERVICES) == tuple(NAMES)
    for name in SERVICES:
        assert name == "openai" or f"| `{name}` |" in PAGE
    for name, reason in NOT_BUILT_IN.items():
        assert f"| {name.capitalize()} | {reason}" in PAGE


def test_a_host_with_another_api_is_refused_before_anything_is_paid(tuning: TuningProject, api: ApiServer) -> None:
    api.fault(Reply({"message": "Not found"}, 404), path="/fine_tuning/jobs", method="GET", times=9)
    error = str(tuning.drive().error)
    assert "seems to have no fine-tuning API (docs/hosts.md has those that do). Nothing was ordered." in error
    assert json.dumps(tuning.job_ids) == "[]"
