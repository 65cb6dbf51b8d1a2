"""A local server that speaks OpenAI's API as the tests need it: deterministic answers, scripted faults, planted secrets.

    with ApiServer() as api:              # a thread of its own, any free port
        api.fault("reset", match="Anna")  # the first call whose body holds this text
        ...                               # ask api.base_url
        assert api.answered == 3

`python -m tests.support.server --port 8000` runs it alone.
"""

from tests.support.server.replies import FAULTS, Reply, completion, error
from tests.support.server.server import ApiServer

__all__ = ["FAULTS", "ApiServer", "Reply", "completion", "error"]
