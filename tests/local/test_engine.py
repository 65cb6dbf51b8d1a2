"""Generation, measured against transformers' own."""

import asyncio
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.local_service import NEEDS_EXTRA, PATIENCE_S, examples, jsonl, make_model, make_tokenizer

pytestmark = NEEDS_EXTRA
ASKED, ANSWERED = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}


@pytest.fixture(scope="module", params=[None, 16], ids=["full attention", "sliding window"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from evaltape.local.model import weights

    folder = make_model(tmp_path_factory.mktemp("model"), window=request.param)
    return weights.load(folder, name="tiny")


@pytest.fixture
def engine(loaded: Any) -> Iterator[Any]:
    from evaltape.local.inference.engine import Engine

    made = Engine(loaded, batch=4)
    yield made
    made.close()


def generation(loaded: Any, prompt: list[int], most: int) -> tuple[Any, threading.Event]:
    from evaltape.local.inference.answer import Answer
    from evaltape.local.inference.engine import Generation
    from evaltape.local.inference.sampling import Sampling

    done = threading.Event()
    answer = Answer(loaded.tokenizer, frozenset([257]), most, [], streamed=False)
    return Generation(prompt, None, answer, most, Sampling(temperature=0), lambda _error: done.set()), done


def expected(loaded: Any, prompt: list[int], most: int) -> list[int]:
    import torch

    out = loaded.model.generate(
        torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), max_new_tokens=most, do_sample=False
    )
    tokens: list[int] = out[0, len(prompt) :].tolist()
    return tokens[: tokens.index(257)] if 257 in tokens else tokens


def test_rows_that_come_and_go_each_get_what_generate_gives(loaded: Any, engine: Any) -> None:
    lengths = [3, 40, 17, 90, 5, 61, 28, 9, 120, 2]
    mosts = [60, 5, 30, 12, 90, 40, 1, 25, 33, 80]
    prompts = [[(start * 7 + step * 13) % 256 for step in range(length)] for start, length in enumerate(lengths)]
    asked = [generation(loaded, prompt, most) for prompt, most in zip(prompts, mosts, strict=True)]
    for one, _ in asked:
        engine.submit(one)
    for one, done in asked:
        assert done.wait(PATIENCE_S)
        assert one.answer.tokens == expected(loaded, one.prompt, one.most_tokens)


def test_the_model_is_called_in_no_way_that_transformers_gives_up(loaded: Any) -> None:
    from evaltape.local.inference.engine import Engine

    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        engine = Engine(loaded, batch=4)
        one, done = generation(loaded, [1, 2, 3], 4)
        engine.submit(one)
        assert done.wait(PATIENCE_S)
        engine.close()
    assert one.answer.tokens == expected(loaded, [1, 2, 3], 4)


@pytest.mark.parametrize("name", ["cache", "past_key_values"])
def test_the_cache_is_given_under_the_name_that_the_model_takes(name: str) -> None:
    from evaltape.local.inference import kv

    def newer(input_ids: Any, cache: Any = None, **others: Any) -> None: ...
    def older(input_ids: Any, past_key_values: Any = None, **others: Any) -> None: ...

    assert kv.argument(SimpleNamespace(forward=newer if name == "cache" else older)) == name


def test_cells_are_laid_out_again_when_they_run_out(loaded: Any, engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from evaltape.local.inference import kv

    monkeypatch.setattr(kv, "ROOM", 4)
    monkeypatch.setattr(kv, "LEAST", 8)
    asked = [generation(loaded, list(range(1, length)), 30) for length in (4, 30, 12)]
    for one, _ in asked:
        engine.submit(one)
    for one, done in asked:
        assert done.wait(PATIENCE_S)
        assert one.answer.tokens == expected(loaded, one.prompt, one.most_tokens)


def test_one_failure_does_not_stop_the_others(loaded: Any, engine: Any) -> None:
    heard: list[Any] = []
    bad, _ = generation(loaded, [999_999], 4)
    bad.on_progress = heard.append
    engine.submit(bad)
    good, done = generation(loaded, [1, 2, 3], 4)
    engine.submit(good)
    assert done.wait(PATIENCE_S)
    assert len(heard) == 1
    assert isinstance(heard[0], Exception)


def test_an_abandoned_request_leaves_the_batch(loaded: Any, engine: Any) -> None:
    one, heard = generation(loaded, [1, 2, 3], 400)
    one.streamed = True
    engine.submit(one)
    assert heard.wait(PATIENCE_S)
    one.cancelled = True
    other, done = generation(loaded, [1, 2, 3], 400)
    engine.submit(other)
    assert done.wait(PATIENCE_S)
    assert len(one.answer.tokens) < len(other.answer.tokens)


def test_a_client_that_hangs_up_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from evaltape.local.inference import chat
    from evaltape.local.inference.answer import Answer
    from evaltape.local.requests.chat import ChatRequest

    async def wait() -> bool:
        request = ChatRequest.model_validate({"model": "m", "messages": [{"role": "user", "content": "Hi"}]})
        reply = chat.Reply(request, Answer(None, frozenset(), 1, [], streamed=False), 1, "fp_1")
        reply.generation = SimpleNamespace(cancelled=False)  # type: ignore[assignment]
        pieces = [piece async for piece in reply.pieces(gone)]
        return not pieces and reply.generation.cancelled

    async def gone() -> bool:
        return True

    monkeypatch.setattr(chat, "CHECK_S", 0.01)
    assert asyncio.run(wait())


def test_rows_of_a_batch_that_differ_in_prompt_only_share_memory_within_bounds(loaded: Any, engine: Any) -> None:
    engine._memory = 100 * engine._cell_bytes
    asked = [generation(loaded, [1] * 20, 30) for _ in range(3)]
    assert engine._fits(asked[0][0])
    for one, _ in asked:
        engine.submit(one)
    assert all(done.wait(PATIENCE_S) for _, done in asked)


def test_half_a_character_is_held_back() -> None:
    from evaltape.local.inference.answer import Answer

    tokenizer = make_tokenizer()
    answer = Answer(tokenizer, frozenset(), 99, ["stop!"], streamed=True)
    shown = []
    for token in tokenizer("🍐 sto")["input_ids"]:
        answer.add(token)
        shown.append(answer.unsent())
    assert "".join(shown) == "🍐 "
    assert all(piece in ("", "🍐", " ") for piece in shown)


def test_top_p_keeps_the_likeliest_tokens_only() -> None:
    import torch
    from evaltape.local.inference.sampling import Sampling, choose

    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]]))
    drawn = set()
    for seed in range(200):
        sampling = Sampling(temperature=1.0, top_p=0.7, seed=seed)
        drawn.add(choose(logits, [(sampling, sampling.generator())])[0])
    assert drawn == {0, 1}


def encoded(tmp_path: Path, rows: list[Any], longest: int = 512) -> Any:
    from evaltape.local.training.training_file import encode

    path = tmp_path / "train.jsonl"
    path.write_bytes(jsonl(rows))
    return encode(path, make_tokenizer(), frozenset([257]), longest)


def learnt(tmp_path: Path, messages: list[Any], longest: int = 512) -> str:
    example = encoded(tmp_path, [*examples(), {"messages": messages}], longest).examples[-1]
    text: str = make_tokenizer().decode([example.ids[position] for position in example.targets])
    return text


def test_only_the_assistant_s_tokens_are_learnt(tmp_path: Path) -> None:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "First.", "weight": 0},
        {"role": "user", "content": "Two?"},
        {"role": "assistant", "content": "Second."},
    ]
    assert learnt(tmp_path, messages) == "Second.<|im_end|>"
    del messages[2]["weight"]
    assert learnt(tmp_path, messages) == "First.<|im_end|>Second.<|im_end|>"


def test_a_row_that_is_too_long_keeps_its_answer(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "x" * 300}, {"role": "assistant", "content": "Short."}]
    assert learnt(tmp_path, messages, longest=60) == "Short.<|im_end|>"
    cut = encoded(tmp_path, [*examples(), {"messages": messages}], longest=128)
    assert (cut.cut, len(cut.examples[-1].ids)) == (1, 128)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"messages": []}, "line 13: expected an object with a list 'messages'"),
        ({"prompt": "a"}, "line 13: expected an object with a list 'messages'"),
        ({"messages": [{"role": "user", "content": "a"}]}, "line 13: the last message must be from the assistant"),
        ({"messages": [{"role": "user", "content": None}]}, "line 13, messages[0]: content is null; expected a string"),
        ({"messages": [{"role": "user", "content": "", "weight": 1}]}, "weight is 1; valid: 0 or 1, for the assistant"),
        ({"messages": [ASKED, {**ANSWERED, "weight": 0}]}, "line 13: no assistant message is to be learnt"),
        ({"messages": [ASKED, {**ANSWERED, "content": "\ud83c"}]}, "messages[1]: content has half of a surrogate pair"),
        ({"messages": [ANSWERED]}, "line 13: the first message must be from the system or the user"),
        ({"messages": [ASKED, ANSWERED], "tools": []}, "line 13: unknown key(s) tools"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, row: Any, words: str) -> None:
    from evaltape.local.training.training_file import InvalidFile

    with pytest.raises(InvalidFile) as invalid:
        encoded(tmp_path, [*examples(), row])
    assert words in str(invalid.value)


def test_a_line_that_is_not_json_is_named(tmp_path: Path) -> None:
    from evaltape.local.training.training_file import InvalidFile, encode

    path = tmp_path / "train.jsonl"
    path.write_bytes(jsonl(examples(2)) + b"\n{broken\n")
    with pytest.raises(InvalidFile, match="line 4: not valid JSON"):
        encode(path, make_tokenizer(), frozenset([257]), 512)


def test_the_rate_rises_and_falls() -> None:
    from evaltape.local.training.recipe import Plan, resolve

    plan = Plan(n_epochs=1, batch_size=8, learning_rate_multiplier=2)
    assert plan.steps(300) == 38
    rates = [plan.rate(step, 20) for step in range(20)]
    assert rates[:2] == [5e-4, 1e-3]
    assert rates.index(max(rates)) in (1, 2)
    assert 0 < rates[-1] < 1e-4
    auto = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}
    assert [resolve(auto, examples).n_epochs for examples in (10, 300, 20_000)] == [10, 3, 1]


def test_a_training_that_diverges_says_so(tmp_path: Path, tiny_model: Path) -> None:
    from evaltape.local.training.trainer import Trainer

    encoded(tmp_path, examples()).write(tmp_path / "examples.jsonl")
    plan = {"n_epochs": 9, "batch_size": 4, "learning_rate_multiplier": 1e30}
    paths = {"weights": str(tiny_model), "examples": str(tmp_path / "examples.jsonl"), "out": str(tmp_path / "out")}
    reports: list[dict[str, Any]] = []
    Trainer({**paths, "validation": None, "seed": 1, "plan": plan, "kept_checkpoints": 3}, reports.append).run()
    assert reports[-1]["type"] == "failed"
    assert "diverged at step" in reports[-1]["message"]
    assert "lower the learning_rate_multiplier" in reports[-1]["message"]
