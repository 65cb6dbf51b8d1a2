"""No two tests of a session have one id: names that would make two alike are refused, whichever part they are of."""

import itertools
from pathlib import Path

import pytest
from evaltape.samples.checks import check_ids
from evaltape.samples.sample import Sample
from evaltape.suite.definition import Suite
from evaltape.suite.reader import refuse_equal_names
from hypothesis import given
from hypothesis import strategies as st

from tests.support.project import ROWS, Project
from tests.support.suites import refusal, suite_in


def samples(*ids: str) -> list[Sample]:
    return [Sample(sample_id, "x", ("y",)) for sample_id in ids]


def suite_of(folder: Path, name: str, *models: str, more: str = "") -> Suite:
    folder.mkdir(exist_ok=True, parents=True)
    tables = "".join(f'[models."{model}"]\nmodel = "x"\n' for model in models)
    return suite_in(folder, more=tables + more, name=f"{name}.toml")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_models_and_samples_that_make_two_ids_alike_are_refused(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, "chats", "a", "a-b")
    assert refusal(check_ids, [(suite, samples("b-c", "c"))]) == (
        "chats.toml: [models.a] and chats.toml: [models.a-b] make two tests of the id chats-a-b-c; rename one of them"
    )
    check_ids([(suite, samples("b", "c"))])


def test_suites_and_models_that_make_two_ids_alike_are_refused(tmp_path: Path) -> None:
    one, other = suite_of(tmp_path, "chats", "small-x"), suite_of(tmp_path, "chats-small", "x")
    message = refusal(check_ids, [(one, samples("t1")), (other, samples("t2", "t1"))])
    assert message.startswith("chats.toml: [models.small-x] and chats-small.toml: [models.x] make two tests of the id ")


def test_metrics_count_as_well(tmp_path: Path) -> None:
    metrics = '[metrics]\n"b-c" = { function = "m:f" }\nc = { function = "m:f" }\n'
    suite = suite_of(tmp_path, "chats", "a", "a-b", more=metrics)
    assert "make two tests of the id chats-a-b-c" in refusal(check_ids, [(suite, samples("t1"))])


def test_mutants_count_as_well(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, "chats", "a", "a-b", more='[mutants]\noperators = ["b-negate", "negate"]\n')
    assert "make two tests of the id chats-a-b-negate" in refusal(check_ids, [(suite, samples("t1"))])


def test_comparisons_count_as_well(tmp_path: Path) -> None:
    compare = "".join(
        f'[compare.{name}]\nbaseline = "x"\ncandidate = "y"\nmin_gain = {{ rouge1 = 0 }}\n' for name in ("b-c", "c")
    )
    one, other = suite_of(tmp_path, "s", "x", "y", more=compare), suite_of(tmp_path, "s-b", "x", "y", more=compare)
    message = refusal(check_ids, [(one, samples("1")), (other, samples("2"))])
    assert message.startswith("s.toml: [compare.b-c] and s-b.toml: [compare.c] make two tests of the id s-b-c-rouge1")


def test_a_tuned_model_is_named_by_its_table(tmp_path: Path) -> None:
    job = '[finetune.a-b]\nbase = "a"\ntrain = { split = "train" }\n'
    message = refusal(check_ids, [(suite_of(tmp_path, "s", "a", more=job), samples("b-1", "1"))])
    assert message.startswith("s.toml: [models.a] and s.toml: [finetune.a-b] make two tests of the id s-a-b-1")


def test_names_that_only_look_alike_are_fine(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, "chats", "smollm2", "smollm2-chats", "small", "smaller")
    check_ids([(suite, samples("t1", "t2", "chats", "1"))])


@pytest.mark.parametrize("other", ["chats", "Chats"])
def test_two_suites_of_one_stem_are_refused(tmp_path: Path, other: str) -> None:
    suites = [suite_of(tmp_path / "a", "chats", "small"), suite_of(tmp_path / "b", other, "small")]
    message = f"a/chats.toml and b/{other}.toml would share the recordings of one suite, {other!r}; rename one of the files"
    assert refusal(refuse_equal_names, suites) == message
    assert refusal(check_ids, [(suite, samples("t1")) for suite in suites]) == message


WORDS = st.sampled_from(["a", "b", "a-b", "b-a", "a-a", "a-b-a", "b-a-b"])


@given(
    st.lists(WORDS, min_size=1, max_size=3, unique=True),
    st.lists(WORDS, min_size=1, max_size=3, unique=True),
    st.lists(WORDS, min_size=1, max_size=3, unique=True),
)
def test_exactly_the_names_that_make_two_ids_alike_are_refused(
    tmp_path_factory: pytest.TempPathFactory, suites: list[str], models: list[str], ids: list[str]
) -> None:
    read = [suite_of(tmp_path_factory.getbasetemp() / "ids", name, *models) for name in suites]
    parts = itertools.product(suites, models, [*ids, "rouge1", "rouge2", "rougeL", ""])
    made = ["-".join(part for part in three if part) for three in parts]
    with_ends = [made[n] for n in range(len(made)) if n % (len(ids) + 4) < len(ids)]
    bare = [f"{suite}-{model}" for suite in suites for model in models]
    is_clear = len(set(with_ends)) == len(with_ends) and len(set(bare)) == len(bare)
    if is_clear:
        check_ids([(suite, samples(*ids)) for suite in read])
    else:
        assert "make two tests of the id " in refusal(check_ids, [(suite, samples(*ids)) for suite in read])


def test_a_run_with_two_ids_alike_ends_with_one_message(recorded: Project) -> None:
    models = '\n[models.small-t]\nmodel = "x"\nbase_url = "BASE_URL"\n'
    recorded.extend_suite(models)
    recorded.write_rows(
        [{**row, "id": sample_id} for row, sample_id in zip(ROWS, ("t-1", "1", "3", "4", "5", "6"), strict=True)]
    )
    run = recorded.run("evals", "--record-missing", "-m", "baseline", "-n 2")
    run.assert_refused("[models.small] and evals/suites/chats.toml: [models.small-t] make two tests of the id chats-small-t-1")
