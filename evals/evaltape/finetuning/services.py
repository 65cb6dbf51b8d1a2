"""The built-in services: the ways of each that differ from OpenAI's fine-tuning API. No other module knows any.

`openai` is the default and lenient: answers that differ in case, spelling or missing keys are read for every service. A
service is named for the things that its answers can't tell.
"""

from collections.abc import Mapping

import msgspec

ORDER_KEYS = ("model", "training_file", "validation_file", "method", "hyperparameters", "seed", "suffix", "metadata")
"""Keys of an order that Evaltape writes; `extra` doesn't take them."""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """The ways of a service that speaks OpenAI's fine-tuning API, or nearly."""

    top_level: bool = False
    """Hyperparameters stand at the top of the order, under `hyperparameters`, instead of within `method`."""
    renamed: Mapping[str, str] = {}
    """Hyperparameters by the suite's name that the service calls otherwise."""
    takes_suffix: bool = True
    takes_seed: bool = True
    takes_metadata: bool = True
    takes_validation: bool = True
    purpose: str = "fine-tune"
    """Of uploaded files."""
    byte_order_mark: bool = False
    """Files begin with U+FEFF."""
    fewest_rows: int = 10
    longest_tokens: int = 65_536
    """Of one example, by the service's documentation."""
    largest_bytes: int = 512 * 2**20
    """Of a file."""
    suffix_without: str = ""
    """Characters that a suffix must not hold."""
    registers: bool = False
    """The result is checkpoints; the last is registered under a name to be asked."""
    serves: bool = True
    """A tuned model can be asked at once; else `deploy` makes that so."""
    stale_listing: bool = False
    """The list lags behind; each job is asked for its true status."""
    asked_with: tuple[str, ...] = ()
    """Keys of `extra` that go with every call, in its query or form."""
    needs: tuple[str, ...] = ()
    """Keys that `extra` must have."""
    advice: str = ""
    """Advice if the service refuses an order."""


SERVICES: dict[str, Service] = {
    "openai": Service(),
    "azure": Service(
        byte_order_mark=True,
        suffix_without=".",
        serves=False,
        advice='open models need extra = { trainingType = "globalStandard" }, or Standard or developerTier',
    ),
    "nebius": Service(top_level=True, takes_metadata=False, largest_bytes=5 * 2**30, registers=True),
    "bedrock": Service(takes_suffix=False, stale_listing=True),
    "litellm": Service(
        top_level=True,
        takes_metadata=False,
        asked_with=("custom_llm_provider",),
        needs=("custom_llm_provider",),
    ),
    "portkey": Service(takes_metadata=False, advice="the gateway's headers belong in OPENAI_CUSTOM_HEADERS"),
}
