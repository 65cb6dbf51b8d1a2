"""Sample ids become file names and test ids: safe on every file system, and never two of them the same."""

import string

import pytest
from evaltape.names import MAX_NAME, file_name, is_safe_key, nearest
from hypothesis import example, given
from hypothesis import strategies as st

IDS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1)
HARMLESS = set(string.ascii_letters + string.digits + "_-.~%")


@given(IDS, IDS)
@example("1/2", "1?2")
@example("1/2", "1%2F2")
@example("1-2", "1?2")
@example("con", "%63on")
@example(".", "%2E")
@example("a.", "a%2E")
@example("job", "%6Aob")
@example("a.repeat-2", "a%2Erepeat-2")
@example("x" * 200 + "a", "x" * 200 + "b")
@example("x" * (MAX_NAME - 17) + "-" + "0" * 16, "x" * 200)
def test_two_ids_never_have_one_name(one: str, other: str) -> None:
    assert (file_name(one) == file_name(other)) == (one == other)


@given(IDS)
@example("../../etc/passwd")
@example("/etc/passwd")
@example("..")
@example("C:\\x")
@example("nul.txt")
@example("COM1")
@example("ü" * 300)
@example("a\nb\x00")
def test_a_name_is_one_safe_component_of_a_path(sample: str) -> None:
    name = file_name(sample)
    assert set(name) <= HARMLESS
    assert 0 < len(name) <= MAX_NAME
    assert not name.startswith(".")
    assert not name.endswith(".")
    assert name.split(".")[0].lower() not in ("con", "nul", "aux", "prn", "com1", "lpt9", "job")


@pytest.mark.parametrize(
    ("sample", "name"),
    [
        ("13829853", "13829853"), ("a_b-c.d", "a_b-c.d"), ("1/2", "1%2F2"), ("1?2", "1%3F2"), ("100%", "100%25"),
        ("é", "%C3%A9"), (".hidden", "%2Ehidden"), ("con", "%63on"), ("job", "%6Aob"), ("a b", "a%20b"),
        ("a.repeat-2", "a%2Erepeat-2"),
    ],
)  # fmt: skip
def test_plain_ids_stay_and_others_are_percent_encoded(sample: str, name: str) -> None:
    assert file_name(sample) == name


@pytest.mark.parametrize("key", ["gpt-4o-mini", "llama3.2_1b", "_x", "7b"])
def test_these_keys_name_folders(key: str) -> None:
    assert is_safe_key(key)


@pytest.mark.parametrize("key", ["", ".", "..", "-x", "a/b", "a\\b", "a b", "a.", "con", "NUL.x", "ü", "a\n", "x" * 121])
def test_these_keys_name_no_folders(key: str) -> None:
    assert not is_safe_key(key)


def test_the_nearest_word_is_named_only_where_one_is_near() -> None:
    assert nearest("gate", ["gates", "model"]) == " Did you mean 'gates'?"
    assert nearest("zzz", ["gates", "model"]) == ""
