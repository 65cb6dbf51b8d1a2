"""Whatever is in a data file, its rows are samples or it is refused with a message."""

import contextlib

import pytest
from evaltape.errors import UserError
from evaltape.samples.dataset import load_samples
from evaltape.samples.frozen import Origin, read_frozen, stage
from evaltape.samples.predictions_file import read_predictions
from hypothesis import given
from hypothesis import strategies as st

from tests.support.suites import TALK, suite_in, write_data

ROW = {**TALK, "topic": "cars", "size": 3, "turns": [{"role": "user", "content": "hi"}]}
SUITE = 'slices = ["topic", "size"]\ncluster = "topic"\nkeep = ["turns"]'
ODD = st.sampled_from(
    [b"", b"[]", b"{}", b"1e400", b"-", b"NaN", b"true", b'""', b"[[", b"\n", b"null", b"\x00", b"\xff", b"\\ud800", b",", b'"']
)


@st.composite
def edited(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with up to three places replaced."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        content = content[:start] + draw(ODD | st.binary(max_size=3)) + content[start + draw(st.integers(0, 12)) :]
    return content


@pytest.mark.parametrize("name", ["talks.jsonl", "talks.json", "talks.csv", "talks.parquet"])
@given(data=st.data())
def test_a_data_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp() / f"any-{name}"
    folder.mkdir(exist_ok=True)
    suite = suite_in(folder, SUITE, path=name)
    write_data(folder / name, [{**ROW, "id": f"t{n}", "dialogue": f"Ann: {n}"} for n in range(3)])
    (folder / name).write_bytes(data.draw(edited((folder / name).read_bytes())))
    with contextlib.suppress(UserError):
        samples, _ = load_samples(suite)
        stage(folder, samples, Origin({"path": name}, suite.columns, {}))
        assert read_frozen(folder, staged=True).samples == samples


@given(data=st.data())
def test_a_file_of_predictions_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    file = tmp_path_factory.getbasetemp() / "any-predictions.jsonl"
    content = b'{"id": "t1", "prediction": "a"}\n{"input": "Ann: hi", "prediction": "b"}\n'
    file.write_bytes(data.draw(edited(content)))
    with contextlib.suppress(UserError):
        read_predictions(file)
