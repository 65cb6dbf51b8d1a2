"""Hosts' ways of fine-tuning, as far as recorded answers or their documentation show them.

Each shape says which of its facts were seen in recorded answers (notebooks, issues, client libraries) and which stand in the
host's documentation alone. Nothing was asked of a host itself.
"""

from tests.support.server.jobs import Quirks

SHAPES: dict[str, Quirks] = {
    # The API's reference.
    "openai": Quirks(),
    # Recorded: `pending` first, on create and on retrieve; another case of the base; no metadata in answers; `trainingType`
    # asked for by open models; files `pending` first and refused until processed; null token counts. Documentation: the tuned
    # model is asked by a deployment.
    "azure": Quirks(
        keeps_metadata=False,
        filters="ignored",
        begins="pending",
        other_case=True,
        tells_tokens=False,
        file_polls=2,
        needs=("trainingType",),
        serves="deployment",
        model_name="{base}.ft-{number}-{suffix}",
    ),
    # Recorded: hyperparameters at the top level, `running` at once with `trained_steps`, metadata null, `fine_tuned_model`
    # null, checkpoints, and the registration with its two calls.
    "nebius": Quirks(
        keeps_metadata=False,
        filters="ignored",
        reads="top",
        begins="running",
        tells_steps=True,
        serves="registered",
        names_model=False,
        result_files=False,
    ),
    # Recorded: `suffix` refused, the listing is stale. Documentation: the tuned model can be asked at once.
    "bedrock": Quirks(refuses=("suffix",), stale_listing=True, own_seed=7),
    # Recorded (its source): `custom_llm_provider` in every call; to Vertex `seed: 0` and ids with slashes.
    "litellm": Quirks(
        keeps_metadata=False,
        filters="ignored",
        reads="top",
        asked_with=("custom_llm_provider",),
        own_seed=0,
        slashed_ids=True,
        tells_settings=False,
        spelling="publishers/google/models/{}@001",
    ),
    # Recorded (its source): times in milliseconds, an error as text, file names made of ids, own words of state.
    "portkey": Quirks(
        keeps_metadata=False,
        filters="refused",
        milliseconds=True,
        reasons="text",
        names_files=False,
        slashed_ids=True,
        words={"validating_files": "InProgress", "queued": "Queued", "succeeded": "Completed", "failed": "Failed"},
    ),
    # Tried on a server in this shape: `create` as a status, hyperparameters at the top, a list of reasons.
    "zhipu": Quirks(
        keeps_metadata=False,
        filters="ignored",
        begins="create",
        reads="top",
        refuses=("seed", "metadata"),
        null_lists=True,
        reasons="list",
        own_seed=1,
    ),
    # No host known: each fact of the others at its worst.
    "nameless": Quirks(
        keeps_metadata=False,
        filters="ignored",
        by_file_name=True,
        names_files=False,
        null_lists=True,
        file_polls=1,
        other_case=True,
        tells_settings=False,
        tells_tokens=False,
        words={"validating_files": "JOB_STATE_CREATING", "running": "JOB_STATE_RUNNING", "succeeded": "JOB_STATE_COMPLETED"},
    ),
}
