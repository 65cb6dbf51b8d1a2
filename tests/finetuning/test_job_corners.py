"""Corners of hosts that aren't quite OpenAI's: files, lists, ids, reasons, deployments, two tables of one job."""

import json
import re
import shutil
import textwrap
from collections.abc import Callable
from dataclasses import replace

import pytest
from evaltape.errors import UserError
from evaltape.finetuning.recorded_job import read_job
from evaltape.recorder.tuning.driver import Drives
from evaltape.recorder.tuning.states import State

from tests.support.server import ApiServer, error
from tests.support.server.shapes import SHAPES
from tests.support.tuning import TuningProject

JOBS = "/fine_tuning/jobs"
GONE = error(404, "No such fine-tuning job: ftjob-0002", "fine_tune_not_found")
GO_ON = "pytest evals -m finetuned --record-missing"
RETRAIN = "pytest evals -m finetuned --record --retrain (costs 1 fine-tuning job, 6 calls)"
SHARED_MODULE = """
import pathlib, time
CALLS = pathlib.Path(__file__).with_name("calls.txt")
def note(text):
    with CALLS.open("a") as file:
        file.write(f"{text}\\n")
def deploy(job):
    note(f"deploy {job.id} {job.tuned_model}")
    return {"name": f"deployed-{job.id}", "undeploy": lambda: note(f"undeploy {job.id}")}
def lasting(job):
    note("lasting")
    return "lasting-name"
async def failing(job):
    raise RuntimeError("no quota\\x1b[31m")
def nothing(job):
    return 3
"""


Calls = Callable[[], list[str]]


@pytest.fixture
def module(tuning: TuningProject) -> Calls:
    """The user's own module `shop`, and the calls of its functions."""
    (tuning.root / "shop.py").write_text(textwrap.dedent(SHARED_MODULE))
    calls = tuning.root / "calls.txt"
    return lambda: calls.read_text().splitlines() if calls.exists() else []


# ---------------------------------------------------------------- files and lists


def test_a_file_that_is_processed_first_is_waited_for(tuning: TuningProject, api: ApiServer) -> None:
    api.tuning.quirks.file_polls = 3
    driven = tuning.drive()
    assert driven.error is None
    assert driven.shown[0].startswith("file-0001 is pending, ")
    assert (len(api.asked(JOBS)), len(tuning.job_ids)) == (1, 1)


def test_a_file_that_is_never_processed_ends_with_its_state_and_no_order(tuning: TuningProject, api: ApiServer) -> None:
    from msgspec.structs import replace as with_changes

    from tests.support.tuning import BRISK

    api.tuning.quirks.file_polls = 10**6
    driven = tuning.drive(patience=with_changes(BRISK, file_s=0.1))
    assert driven.error == (
        "[finetune.tuned] file-0001 is still 'pending' after 0 s. Nothing was ordered. Once that is "
        f"mended, this goes on: {GO_ON}"
    )
    assert (tuning.job_ids, driven.recorder.budget.holds) == ([], set())


@pytest.mark.parametrize("status", ["failed", "error", "Deleted"])
def test_a_file_that_failed_is_uploaded_again(tuning: TuningProject, api: ApiServer, status: str) -> None:
    api.fault(error(400, "Something is wrong here"), path=JOBS)
    tuning.drive()
    next(iter(api.tuning.files.values()))[0]["status"] = status
    assert tuning.drive().error is None
    assert tuning.uploads == 2


def test_a_list_that_is_null_is_empty(tuning: TuningProject, api: ApiServer) -> None:
    api.tuning.quirks.null_lists = True
    assert tuning.drive().error is None
    assert read_job(tuning.job_cassette).id == "ftjob-0002"


# ---------------------------------------------------------------- jobs


@pytest.mark.parametrize("times", [1, 3])
def test_a_404_while_it_trains_is_waited_out(tuning: TuningProject, api: ApiServer, times: int) -> None:
    api.tuning.states = ("running", "running", "running", "running", "succeeded")
    api.fault(GONE, "", "/ftjob-0002", "GET", after=2, times=times)
    driven = tuning.drive()
    assert driven.error is None
    assert any(shown.startswith("looking for ftjob-0002, which the API no longer knows") for shown in driven.shown)
    assert len(tuning.job_ids) == 1


@pytest.mark.parametrize("form", ["object", "text", "list"])
def test_a_reason_is_kept_in_whatever_form_it_comes(tuning: TuningProject, api: ApiServer, form: str) -> None:
    api.tuning.states, api.tuning.quirks.reasons = ("queued", "failed"), form
    assert str(tuning.drive().error).startswith("[finetune.tuned] ftjob-0002 failed: Line 3 has no assistant message. ")


@pytest.mark.parametrize("word", ["Succeeded", "completed", "JOB_STATE_COMPLETED"])
def test_a_job_that_succeeded_in_other_words_and_without_a_base_is_recorded_and_replays(
    tuning: TuningProject, api: ApiServer, word: str
) -> None:
    api.tuning.quirks.words = {"succeeded": word}
    assert tuning.drive().error is None
    for job in api.tuning.jobs.values():
        job.body["model"] = None
    assert tuning.drive().error is None
    assert (tuning.jobs().job("tuned").status, len(tuning.job_ids)) == ("succeeded", 1)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_job_of_another_machine_is_found_or_left_to_the_user_and_never_ordered_again(
    tuning: TuningProject, api: ApiServer, shape: str
) -> None:
    api.tuning.quirks = replace(SHAPES[shape], asked_with=(), needs=(), refuses=(), serves="name", names_model=True)
    tuning.drive()
    shutil.rmtree(tuning.job_cassette.parent)
    driven = tuning.drive()
    # A seed of the host's own says that it may be another job.
    own_seed = SHAPES[shape].own_seed not in (None, 7)
    assert driven.state is (State.UNCLEAR if own_seed or shape == "nebius" else State.RECORDED), driven.error
    assert len(tuning.job_ids) == 1
    if driven.state is State.UNCLEAR:
        assert "Nothing" not in str(driven.error) and "so nothing more is paid" in str(driven.error)
        assert GO_ON in str(driven.error) and RETRAIN in str(driven.error)


@pytest.mark.parametrize("gives_content", [True, False])
def test_without_file_names_a_job_is_found_by_the_content_of_its_file(
    tuning: TuningProject, api: ApiServer, gives_content: bool
) -> None:
    api.tuning.quirks = replace(SHAPES["portkey"], gives_content=gives_content)
    tuning.drive()
    shutil.rmtree(tuning.job_cassette.parent)
    driven = tuning.drive()
    assert driven.state is (State.RECORDED if gives_content else State.UNCLEAR)
    assert len(tuning.job_ids) == 1


def test_a_job_that_states_no_step_yet_is_cancelled_though_it_is_running(tuning: TuningProject, api: ApiServer) -> None:
    api.tuning.quirks = replace(SHAPES["nebius"], reads="method", serves="name", names_model=True, queue_s=0.0)
    api.fault("twice", path=JOBS)
    driven = tuning.drive()
    assert driven.error is None
    assert len(api.tuning.alive) == 1


def test_deeply_nested_metadata_is_no_obstacle(tuning: TuningProject, api: ApiServer) -> None:
    tuning.drive()
    nested = json.loads("[" * 400 + "]" * 400)
    api.tuning.create(model="other", metadata={"evaltape_digest": nested, "evaltape_run": nested})
    tuning.job_cassette.unlink()
    assert tuning.drive().error is None
    assert len(tuning.job_ids) == 2


# ---------------------------------------------------------------- orders


def test_further_keys_of_the_order_are_sent_and_make_another_job(tuning: TuningProject, api: ApiServer) -> None:
    tuning.edit_suite("poll_seconds", 'extra = { trainingType = "Standard" }\npoll_seconds')
    assert tuning.drive().error is None
    assert api.asked(JOBS)[0].json["trainingType"] == "Standard"
    tuning.edit_suite('"Standard"', '"globalStandard"')
    with pytest.raises(Exception, match=r'another trainingType \("Standard"; the suite asks for "globalStandard"\)'):
        tuning.jobs().job("tuned")
    assert tuning.drive().error is None
    assert len(tuning.job_ids) == 2


@pytest.mark.parametrize("key", ["model", "seed", "method", "metadata"])
def test_further_keys_that_are_ours_are_refused(tuning: TuningProject, key: str) -> None:
    tuning.edit_suite("poll_seconds", f'extra = {{ {key} = "x" }}\npoll_seconds')
    with pytest.raises(UserError, match=rf"\[finetune.tuned\] extra.{key}: Evaltape writes {key} itself"):
        tuning.jobs().prepare("tuned")


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (
            'service = "litellm"',
            "service = 'litellm' needs custom_llm_provider in extra, as in extra = { custom_llm_provider = \"...\" }",
        ),
        ('service = "azure"\nsuffix = "v1.0"', "suffix = 'v1.0': azure takes none with '.' in it"),
    ],
)
def test_an_order_that_the_service_can_t_take_is_refused_before_anything_is_asked(
    tuning: TuningProject, api: ApiServer, lines: str, problem: str
) -> None:
    tuning.edit_suite('suffix = "talks"\n', "")
    tuning.edit_suite("poll_seconds", f"{lines}\npoll_seconds")
    with pytest.raises(UserError, match=re.escape(problem)):
        tuning.jobs().prepare("tuned")
    assert api.requests == []


# ---------------------------------------------------------------- deploy


def test_deploy_names_the_tuned_model_once_and_the_name_is_recorded(tuning: TuningProject, module: Calls) -> None:
    tuning.edit_suite("poll_seconds", 'deploy = "shop:lasting"\npoll_seconds')
    driven = tuning.drive()
    assert driven.error is None
    assert any(shown.startswith("shop:lasting: waiting for ") for shown in driven.shown)
    assert tuning.jobs().job("tuned").tuned_model == "lasting-name"
    assert tuning.drive().error is None
    assert (module(), tuning.jobs().job("tuned").tuned_model) == (["lasting"], "lasting-name")


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        ("shop:failing", "deploy = 'shop:failing' raised RuntimeError: no quota\\x1b[31m"),
        ("shop:nothing", "deploy = 'shop:nothing' returned 3: it takes the name to ask the tuned model by"),
        ("shop:absent", "deploy = 'shop:absent' can't be imported: AttributeError"),
        ("nowhere:at_all", "deploy = 'nowhere:at_all' can't be imported: ModuleNotFoundError"),
    ],
)
def test_a_deployment_that_fails_leaves_the_job_paid_and_goes_on_for_free(
    tuning: TuningProject, module: Calls, function: str, problem: str
) -> None:
    tuning.edit_suite("poll_seconds", f'deploy = "{function}"\npoll_seconds')
    error = str(tuning.drive().error)
    assert error.startswith(f"[finetune.tuned] {problem}")
    assert error.endswith(f". ftjob-0002 itself has succeeded, and this records it, without paying again: {GO_ON}")
    tuning.edit_suite(function, "shop:lasting")
    assert tuning.drive().error is None
    assert len(tuning.job_ids) == 1


def test_a_service_of_the_users_that_can_t_be_used_is_told_before_anything_is_asked(
    tuning: TuningProject, api: ApiServer, module: Calls
) -> None:
    tuning.edit_suite("poll_seconds", 'service = "shop:CALLS"\npoll_seconds')
    assert str(tuning.drive().error).startswith("[finetune.tuned] service = 'shop:CALLS' can't be made: TypeError")
    assert api.requests == []


# ---------------------------------------------------------------- two tables


def test_two_tables_of_the_same_data_share_one_job_and_its_failure(tuning: TuningProject, api: ApiServer) -> None:
    tuning.extend_suite(
        '[finetune.again]\nbase = "small"\ntrain = { split = "train" }\nseed = 7\nhyperparameters = { n_epochs = 1 }\n'
        "poll_seconds = 0.1\n"
    )
    run = tuning.run("evals", "-m finetuned", "-k", "test_job or again-t1", "--record", "-p no:xdist")
    assert run.exit_code == 0, run.output
    assert "again: the same data, base and settings as chats: [finetune.tuned]; one job serves both" in " ".join(
        run.output.split()
    )
    assert (len(api.asked(JOBS)), tuning.job_ids) == (1, ["ftjob-0002"])
    assert read_job(tuning.cassettes / "again/job.yaml").id == "ftjob-0002"


def test_the_second_table_fails_with_the_first(tuning: TuningProject, api: ApiServer) -> None:
    api.tuning.states = ("failed",)
    results = tuning.drive_all(("tuned", "tuned"), Drives())
    assert [result.state for result in results] == [State.ENDED, State.ENDED]
    assert str(results[1].failure).startswith(
        "[finetune.tuned] is the same job as chats: [finetune.tuned]: [finetune.tuned] ftjob-0002 failed"
    )
    assert len(tuning.job_ids) == 1


def test_a_class_of_the_users_that_raises_while_it_orders_leaves_the_order_open(tuning: TuningProject, api: ApiServer) -> None:
    (tuning.root / "own.py").write_text(
        "from evaltape.recorder.tuning.hosts import OpenAIHost\n"
        "class Host(OpenAIHost):\n"
        "    async def order(self, order):\n"
        "        await super().order(order)\n"
        "        raise KeyError('status')\n"
    )
    tuning.edit_suite("poll_seconds", 'service = "own:Host"\npoll_seconds')
    driven = tuning.drive()
    assert driven.error is None
    assert "started ftjob-0002" in driven.notes[0] and "got no answer; the listing shows the job" in driven.notes[0]
    assert (len(api.asked(JOBS)), len(tuning.job_ids)) == (1, 1)
