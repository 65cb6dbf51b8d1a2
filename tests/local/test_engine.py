"""Generation, measured against transformers' own."""

import asyncio
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.local_service import NEEDS_EXTRA, PATIENCE_S, make_model, make_tokenizer

pytestmark = NEEDS_EXTRA


@pytest.fixture(scope="module", params=[None, 16], ids=["full attention", "sliding window"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from evaltape.local import model

    folder = make_model(tmp_path_factory.mktemp("model"), window=request.param)
    return model.load(folder, name="tiny")


@pytest.fixture
def engine(loaded: Any) -> Iterator[Any]:
    from evaltape.local.inference.engine import Engine

    made = Engine(loaded, batch=4)
    yield made
    made.close()


def generation(
    loaded: Any, prompt: list[int], most: int, progress: Callable[[], Any] = lambda: None
) -> tuple[Any, threading.Event]:
    from evaltape.local.inference.generation import Generation

    done = threading.Event()

    def on_progress(error: BaseException | None) -> None:
        progress()
        if error or made.finish:
            done.set()

    about: Any = {"tokenizer": loaded.tokenizer, "ends": frozenset([257]), "most_tokens": most, "temperature": 0}
    made = Generation(prompt=prompt, streamed=True, on_progress=on_progress, **about)
    return made, done


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
        assert one.tokens == expected(loaded, one.prompt, one.most_tokens)


def test_the_model_is_called_in_no_way_that_transformers_gives_up(loaded: Any) -> None:
    from evaltape.local.inference.engine import Engine

    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        engine = Engine(loaded, batch=4)
        one, done = generation(loaded, [1, 2, 3], 4)
        engine.submit(one)
        assert done.wait(PATIENCE_S)
        engine.close()
    assert one.tokens == expected(loaded, [1, 2, 3], 4)


def test_one_failure_does_not_stop_the_others(loaded: Any, engine: Any) -> None:
    errors: list[Any] = []
    bad, _ = generation(loaded, [999_999], 4)
    bad.on_progress = errors.append
    engine.submit(bad)
    good, done = generation(loaded, [1, 2, 3], 4)
    engine.submit(good)
    assert done.wait(PATIENCE_S)
    assert len(errors) == 1
    assert isinstance(errors[0], Exception)


def test_an_abandoned_request_leaves_the_batch(loaded: Any, engine: Any) -> None:
    has_begun = threading.Event()

    def leave() -> None:
        one.cancelled = True
        has_begun.set()

    one, _ = generation(loaded, [1, 2, 3], 60, progress=leave)
    engine.submit(one)
    assert has_begun.wait(PATIENCE_S)
    other, done = generation(loaded, [1, 2, 3], 60)
    engine.submit(other)
    assert done.wait(PATIENCE_S)
    assert len(one.tokens) < len(other.tokens)


def test_a_client_that_hangs_up_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from evaltape.local.inference import chat
    from evaltape.local.inference.generation import Generation
    from evaltape.local.requests import ChatRequest

    async def wait() -> bool:
        request = ChatRequest.model_validate({"model": "m", "messages": [{"role": "user", "content": "Hi"}]})
        generation = Generation(prompt=[1], tokenizer=None, ends=frozenset(), most_tokens=1)
        pieces = [piece async for piece in chat.Reply(request, generation, "fp_1").pieces(gone)]
        return not pieces and generation.cancelled

    async def gone() -> bool:
        return True

    monkeypatch.setattr(chat, "CHECK_S", 0.01)
    assert asyncio.run(wait())


def make_adapter(folder: Path, seed: int) -> Path:
    """Save an adapter that changes what the tiny model says."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(make_model(folder / "base"))
    torch.manual_seed(seed)
    tuned = get_peft_model(model, LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False))
    tuned.save_pretrained(folder)
    return folder


def test_tuned_models_share_a_batch_and_each_answers_as_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from evaltape.local import model
    from evaltape.local.inference import engine as module

    monkeypatch.setattr(module, "MOST_ADAPTERS", 2)
    folders = [None, *(make_adapter(tmp_path / f"tuned{seed}", seed) for seed in range(3))]
    engine = module.Engine(model.load(make_model(tmp_path / "tiny"), name="tiny"), batch=16)

    def answers(wanted: list[Path | None], *, together: bool) -> list[list[int]]:
        asked = []
        for folder in wanted:
            one, done = generation(engine._loaded, [1, 2, 3], 20)
            one.adapter = folder
            asked.append((one, done))
            engine.submit(one)
            assert together or done.wait(PATIENCE_S)
        assert all(done.wait(PATIENCE_S) for _, done in asked)
        return [one.tokens for one, _ in asked]

    alone = answers(folders, together=False)
    assert len({tuple(tokens) for tokens in alone}) == 4
    assert answers(folders * 3, together=True) == alone * 3
    assert answers([*folders[::-1]], together=False) == alone[::-1], "an adapter that was dropped is read again"
    engine.close()


def test_rows_take_no_more_memory_than_is_counted(loaded: Any, engine: Any) -> None:
    """A batch of fewer rows than the most was once laid out for the most."""
    engine._memory = 100 * engine._cell_bytes
    laid_out: list[int] = []
    asked = [generation(loaded, [1] * 20, 30, progress=lambda: laid_out.append(cells(engine))) for _ in range(5)]
    for one, _ in asked:
        engine.submit(one)
    assert all(done.wait(PATIENCE_S) for _, done in asked)
    assert 0 < max(laid_out) <= 100
    assert [one.tokens for one, _ in asked] == [expected(loaded, [1] * 20, 30)] * 5


def cells(engine: Any) -> int:
    """Return how many tokens the cache has room for."""
    keys = engine._cache.layers[0].keys
    return int(keys.shape[0] * keys.shape[2])


def test_half_a_character_is_held_back() -> None:
    from evaltape.local.inference.generation import Generation

    tokenizer = make_tokenizer()
    answer = Generation(prompt=[1], tokenizer=tokenizer, ends=frozenset(), most_tokens=99, stops=["stop!"], streamed=True)
    shown = []
    for token in tokenizer("🍐 sto")["input_ids"]:
        answer.add(token)
        shown.append(answer.unsent())
    assert "".join(shown) == "🍐 "
    assert all(piece in ("", "🍐", " ") for piece in shown)


def test_top_p_keeps_the_likeliest_tokens_only() -> None:
    import torch
    from evaltape.local.inference.generation import Generation, choose

    about: Any = {"prompt": [1], "tokenizer": None, "ends": frozenset(), "most_tokens": 1}
    drawn = set()
    for seed in range(200):
        logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]]))
        drawn.add(int(choose(logits, [Generation(temperature=1.0, top_p=0.7, seed=seed, **about)]).argmax()))
    assert drawn == {0, 1}
