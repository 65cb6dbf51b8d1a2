"""The kinds of trouble a person is told about."""


class UserError(Exception):
    """A mistake of the user's: shown as a message without a traceback, exit code 4."""


class RecordingError(Exception):
    """A recording that is missing, damaged or of something else; fails the test that asked for it.

    `command` records it, where that takes another command than the test's own sample; `cost` is its cost, to follow it.
    """

    def __init__(self, message: str, command: str | None = None, cost: str = "") -> None:
        super().__init__(message)
        self.command = command
        self.cost = cost


class HoldsKey(RecordingError):
    """A prompt or an answer that holds a key, which no recording may; asking again ends the same."""


class NotRecorded(RecordingError):
    """There is no recording of a call."""


class RecordedOtherwise(RecordingError):
    """A recording of another call than the wanted call.

    `what` names the difference in a few words: `another prompt`, `another temperature and another seed`.
    """

    def __init__(self, message: str, what: str) -> None:
        super().__init__(message)
        self.what = what


class NotFetched(RecordingError):
    """A recording that Git LFS keeps elsewhere: to record it again would pay a second time."""
