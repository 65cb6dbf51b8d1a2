"""A look at whether an inference server has the same weights: its likeliest tokens after one prompt."""

from typing import Any

import msgspec

PROMPT = [{"role": "user", "content": "Name three colours."}]
COUNT = 5
MOST_DIFFERENCE = 0.25
"""In nats, on average: bfloat16 against float32 is a tenth of that, other weights many times."""


class Likeliest(msgspec.Struct):
    """The likeliest first tokens of an answer, with their log probabilities."""

    tokens: dict[str, float]

    def __str__(self) -> str:
        return ", ".join(f"{token!r} ({value:.2f})" for token, value in self.tokens.items())

    @classmethod
    def computed(cls, loaded: Any) -> "Likeliest":
        """Return those of a loaded model."""
        import torch

        from evaltape.local.inference.prompt import render

        with torch.inference_mode():
            ids = torch.tensor([render(loaded.tokenizer, PROMPT)], device=loaded.model.device)
            odds = torch.log_softmax(loaded.model(input_ids=ids, logits_to_keep=1).logits[0, -1].float(), dim=-1)
        values, tokens = odds.topk(COUNT)
        return cls(
            {loaded.tokenizer.decode([token]): value for token, value in zip(tokens.tolist(), values.tolist(), strict=True)}
        )

    @classmethod
    def asked(cls, client: Any, url: str, model: str) -> "Likeliest":
        """Return those of a server. Raise what `httpx2` raises, `KeyError` and the like for an answer of another shape."""
        body = {"model": model, "messages": PROMPT, "temperature": 0, "max_tokens": 1, "logprobs": True, "top_logprobs": COUNT}
        answer = client.post(f"{url}/v1/chat/completions", json=body).raise_for_status().json()
        first = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        return cls({entry["token"]: entry["logprob"] for entry in first})


def agree(one: Likeliest, other: Likeliest) -> bool:
    """Return whether two models give most of their likeliest tokens the same probabilities."""
    both = one.tokens.keys() & other.tokens.keys()
    differences = [abs(one.tokens[token] - other.tokens[token]) for token in both]
    return len(both) * 2 > COUNT and sum(differences) / len(both) <= MOST_DIFFERENCE
