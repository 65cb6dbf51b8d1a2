"""Prompts: which messages a sample becomes."""

import json
from pathlib import Path
from typing import Any

import pytest
from evaltape.samples.sample import Sample
from evaltape.suite.prompt import MessageTable, Prompt, as_text, messages_of, turns_as_text
from hypothesis import given
from hypothesis import strategies as st

from tests.support.options import failures_of
from tests.support.project import ROWS, Project
from tests.support.suites import suite_in

FEW_SHOT = """
messages = [
  { role = "system", content = "You are {tone}." },
  { role = "user", content = "Ann: hi" },
  { role = "assistant", content = "Ann greets {{everyone}}." },
  { role = "user", content = "{input}" },
]
"""
TURNS = [
    {"role": "user", "content": "Hi {input}"},
    {"role": "assistant", "content": "Yes?"},
    {"role": "user", "content": "Bye"},
]


def prompt_of(folder: Path, prompt: str) -> Prompt:
    return suite_in(folder, prompt=prompt).models["small"].prompt


def rendered(folder: Path, prompt: str, **columns: Any) -> list[dict[str, str]]:
    return prompt_of(folder, prompt).render(Sample("t1", "Bob: {tone}", ("x",), columns))


def test_the_system_message_comes_before_the_users(tmp_path: Path) -> None:
    assert rendered(tmp_path, 'user = "Sum up: {input}"\nsystem = "Be brief."') == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Sum up: Bob: {tone}"},
    ]


def test_messages_are_sent_in_their_order(tmp_path: Path) -> None:
    assert rendered(tmp_path, FEW_SHOT, tone="kind") == [
        {"role": "system", "content": "You are kind."},
        {"role": "user", "content": "Ann: hi"},
        {"role": "assistant", "content": "Ann greets {everyone}."},
        {"role": "user", "content": "Bob: {tone}"},
    ]


def test_a_conversation_is_sent_as_it_stands(tmp_path: Path) -> None:
    assert rendered(tmp_path, 'conversation = "turns"', turns=TURNS) == TURNS


def test_a_system_message_comes_before_a_conversation(tmp_path: Path) -> None:
    prompt = 'conversation = "turns"\nsystem = "You are {tone}."'
    assert rendered(tmp_path, prompt, turns=TURNS, tone="kind") == [{"role": "system", "content": "You are kind."}, *TURNS]


@pytest.mark.parametrize(
    ("prompt", "columns"),
    [
        ('user = "{input}"', {"input"}),
        ('user = "{input} {tone}"\nsystem = "{other column} {{no column}}"', {"input", "tone", "other column"}),
        (FEW_SHOT, {"input", "tone"}),
        ('conversation = "turns"\nsystem = "{tone}"', {"turns", "tone"}),
    ],
)
def test_a_prompt_knows_the_columns_it_names(tmp_path: Path, prompt: str, columns: set[str]) -> None:
    assert prompt_of(tmp_path, prompt).columns == columns


@pytest.mark.parametrize(("value", "text"), [("{x}", "{x}"), (3, "3"), (2.50, "2.5"), (True, "true"), ("", "")])
def test_values_stand_in_a_prompt_as_json_writes_them(value: object, text: str) -> None:
    assert as_text(value) == text


@given(st.text(), st.text())
def test_no_value_is_ever_read_as_a_template(text: str, other: str) -> None:
    prompt = Prompt(user="{other}-{input}")
    assert prompt.render(Sample("a", text, ("x",), {"other": other})) == [{"role": "user", "content": f"{other}-{text}"}]


@given(
    st.lists(
        st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": st.text(min_size=1)}), max_size=4
    )
)
def test_messages_are_taken_whole_or_refused(turns: list[dict[str, str]]) -> None:
    is_good = bool(turns) and turns[-1]["role"] == "user" and all(turn["content"].strip() for turn in turns)
    if is_good:
        assert messages_of(turns) == turns
    else:
        with pytest.raises(ValueError):
            messages_of(turns)


def test_turns_as_text_name_their_roles() -> None:
    assert turns_as_text(TURNS) == "user: Hi {input}\nassistant: Yes?\nuser: Bye"


def test_the_json_of_a_prompt_tells_every_prompt_from_every_other() -> None:
    prompts = [
        Prompt(user="a"),
        Prompt(system="a"),
        Prompt(messages=(MessageTable(role="user", content="a"),) * 2),
        Prompt(user="a", conversation="turns"),
        Prompt(conversation="turns"),
    ]
    assert len({json.dumps(prompt.as_json()) for prompt in prompts}) == len(prompts)


# ---------------------------------------------------------------- in a run


def test_each_prompt_of_one_served_model_is_a_model(project: Project) -> None:
    project.extend_suite(
        '\n[prompts.terse]\nuser = "In three words: {input}"\n'
        '\n[models.shots]\nmodel = "small-2026-01-01"\nbase_url = "BASE_URL"\nprompt = {'
        + FEW_SHOT.strip().replace("\n", " ").replace("{tone}", "kind")
        + '}\n\n[compare.terse]\nbaseline = "small"\ncandidate = "small-terse"\nmax_drop = { rouge1 = 0.2 }\n'
        'inconclusive = "skip"\n'
    )
    run = project.record("-v", "-p no:xdist")
    for row in ROWS:
        said = {model: project.cassette(row["id"], model).read_text() for model in ("small", "small-terse", "shots")}
        assert "Summarise this conversation." in said["small"]
        assert "In three words: " in said["small-terse"] and "Summarise" not in said["small-terse"]
        assert "You are kind." in said["shots"] and "Ann greets {everyone}." in said["shots"]
        assert f"::test_sample[chats-small-terse-{row['id']}] PASSED" in run.output
    assert "::test_gate[chats-small-rouge1] PASSED" in run.output
    assert "::test_gate[chats-small-terse-rouge1] PASSED" in run.output
    assert "::test_compare[chats-terse-rouge1] SKIPPED" in run.output
    assert [failures_of(project, model) for model in ("small", "small-terse", "shots")] == [{}, {}, {}]


def test_a_changed_prompt_of_one_model_leaves_the_others_recorded(recorded: Project) -> None:
    recorded.extend_suite('\n[models.other]\nmodel = "x"\nbase_url = "BASE_URL"\nprompt = { user = "Own: {input}" }\n')
    assert (len(failures_of(recorded, "small")), len(failures_of(recorded, "other"))) == (0, 6)
