"""Which requests of a batch a later session may still want: requests for samples that this session doesn't ask for."""

from collections.abc import Iterable

from evaltape.errors import RecordingError
from evaltape.recorder.batches.lines import call_name
from evaltape.recording.cassettes import digest_of
from evaltape.recording.model_calls import ModelCalls, call_of
from evaltape.recording.unfinished import read_unfinished
from evaltape.recording.verdicts import AGAIN
from evaltape.workspace import Workspace


def still_of_use(workspace: Workspace, names: Iterable[str], asked: Iterable[str]) -> int:
    """Return how many of a batch's requests, by their `custom_id`, have no recording yet, and may get one later.

    `asked` are the `custom_id`s of today's calls: a request of the same call that isn't among them is out of date.
    """
    calls = {name.rpartition("@")[0] for name in asked}
    samples = {sample.name for sample in workspace.samples}
    recorded: dict[str, _Recorded] = {}
    count = 0
    for name in names:
        known = call_name(name)
        if known is None or known.call in calls:
            continue
        folder, _, file = known.call.partition("/")[2].rpartition("/")
        if call_of(file)[0].partition(AGAIN)[0] in samples:
            count += not recorded.setdefault(folder, _Recorded(workspace, folder)).has(file, name.rpartition("@")[2])
    return count


class _Recorded:
    """The recordings of one folder of a suite, that count today."""

    def __init__(self, workspace: Workspace, folder: str) -> None:
        self._calls = ModelCalls(workspace.folder, folder)
        try:
            unfinished = read_unfinished(workspace.folder, folder)
        except RecordingError:
            unfinished = None
        self._to_come = set(unfinished.still_to_come()) if unfinished else set()

    def has(self, name: str, digest: str) -> bool:
        """Return whether there is one of a call, with a request of this digest."""
        if call_of(name) in self._to_come:
            return False
        try:
            return any(digest_of(exchange.asked) == digest for exchange in self._calls.read(name))
        except RecordingError:
            return False
