"""What the server answers: completions, errors, and the faults that a test can script by name."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

KEY_IN_ERRORS = "sk-proj-planted0123456789abcdefghijklmnop"
ORGANISATION, PROJECT, REQUEST, COOKIE = (
    "org-plantedABCDEFG12345",
    "proj_plantedHIJKLMN678",
    "req_plantedOPQRSTU90",
    "__cf_bm=planted-cookie",
)
IDENTITY_HEADERS = {
    "openai-organization": ORGANISATION,
    "openai-project": PROJECT,
    "x-request-id": REQUEST,
    "set-cookie": f"{COOKIE}; path=/; HttpOnly",
}


@dataclass(frozen=True)
class Reply:
    """An answer: `body` is JSON to be, or a text that stands as it is. `cut` sends half of it, `reset` none.

    Some do what was asked for: `done` and sends this answer all the same, `lost` and sends none. Others are the true answer:
    `late` sends it after `delay_s`; `twice` does all of it twice, as a proxy that repeats a request, and sends the second
    answer; `echoed` sends it twice. `trickle_s` is the time between two bytes of the body.
    """

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    delay_s: float = 0.0
    cut: bool = False
    reset: bool = False
    done: bool = False
    lost: bool = False
    late: bool = False
    twice: bool = False
    echoed: bool = False
    gzip: bool = False
    trickle_s: float = 0.0

    @property
    def encoded(self) -> bytes:
        """The bytes of the body."""
        if isinstance(self.body, bytes):
            return self.body
        text = self.body if isinstance(self.body, str) else json.dumps(self.body, ensure_ascii=False)
        return text.encode(errors="backslashreplace")


def error(status: int, message: str, code: str | None = None, kind: str = "invalid_request_error", **more: Any) -> Reply:
    """An error in OpenAI's form."""
    return Reply({"error": {"message": message, "type": kind, "param": None, "code": code}}, status, **more)


def completion(asked: dict[str, Any], text: str | None, reason: str = "stop", refusal: str | None = None) -> Reply:
    """A chat completion that answers `asked`, the JSON of a call; a token is a word here."""
    prompt_tokens = sum(len(turn["content"].split()) for turn in asked["messages"])
    tokens = len((text or "").split())
    message = {"role": "assistant", "content": text, "refusal": refusal, "annotations": []}
    return Reply(
        {
            "id": "chatcmpl-planted",
            "object": "chat.completion",
            "created": 1_790_000_000,
            "model": asked["model"],
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
            "usage": {
                "prompt_tokens": prompt_tokens,
                "completion_tokens": tokens,
                "total_tokens": prompt_tokens + tokens,
            },
        }
    )


def _rate_limited(**headers: str) -> Reply:
    return error(429, f"Rate limit reached in organization {ORGANISATION}", "rate_limit_exceeded", "requests", headers=headers)


Fault = Reply | Callable[[dict[str, Any]], Reply]
HTML = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
FAULTS: dict[str, Fault] = {
    "429": _rate_limited(**{"retry-after": "1"}),
    "429 at once": _rate_limited(**{"retry-after-ms": "50"}),
    "429 without retry-after": _rate_limited(),
    "500": error(500, "The server had an error while processing your request", kind="server_error"),
    "502": error(502, "Bad gateway", kind="server_error"),
    "503": error(503, "The engine is currently overloaded", kind="server_error"),
    "400": error(400, "Unsupported value: 'temperature' does not support 7", "unsupported_value"),
    "401": error(401, f"Incorrect API key provided: {KEY_IN_ERRORS} of {ORGANISATION}, {PROJECT}", "invalid_api_key"),
    "403": error(403, f"Organization {ORGANISATION} may not create fine-tuning jobs", "permission_denied"),
    "404": error(404, "The model has been shut down", "model_not_found"),
    "quota": error(429, "You exceeded your current quota", "insufficient_quota", "insufficient_quota"),
    "html error": Reply(HTML, 502, content_type="text/html"),
    "html": Reply(HTML, content_type="text/html"),
    "reset": Reply(reset=True),
    "lost": Reply(lost=True),
    "504 though done": error(504, "Gateway timeout", kind="server_error", done=True),
    "html though done": Reply(HTML, content_type="text/html", done=True),
    "late": Reply(late=True, delay_s=0.1),
    "twice": Reply(twice=True),
    "echoed": Reply(echoed=True),
    "done, but never answered": Reply(lost=True, delay_s=3600.0),
    "hang": Reply({}, delay_s=3600.0),
    "slow": lambda asked: Reply(completion(asked, "Too late.").body, delay_s=3.0),
    "cut": lambda asked: Reply(completion(asked, "Half of this is never sent.").body, cut=True),
    "not json": Reply("{'oops", 200),
    "not a completion": Reply({"hello": "world"}),
    "null": lambda asked: completion(asked, None),
    "empty": lambda asked: completion(asked, ""),
    "empty at the limit": lambda asked: completion(asked, "", "length"),
    "truncated": lambda asked: completion(asked, "This sentence ends before its", "length"),
    "refusal": lambda asked: completion(asked, None, refusal="I can't help with that."),
    "filtered": lambda asked: completion(asked, None, "content_filter"),
}
