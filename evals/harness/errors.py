"""The two kinds of trouble a person is told about."""


class UserError(Exception):
    """A mistake of the user's: shown as one message without a traceback, exit code 4."""


class RecordingError(Exception):
    """A recording that is missing, damaged or of something else; fails the test that asked for it."""
