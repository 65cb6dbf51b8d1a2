"""The recipe: the numbers in place of "auto"."""

from tests.support.local_service import NEEDS_EXTRA

pytestmark = NEEDS_EXTRA


def test_auto_suits_the_number_of_examples() -> None:
    from evaltape.local.training.jobs import resolve

    auto = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}
    assert [resolve(auto, examples)["n_epochs"] for examples in (10, 300, 20_000)] == [10, 3, 1]
    assert resolve({**auto, "beta": "auto"}, 300) == {
        "n_epochs": 3,
        "batch_size": 8,
        "learning_rate_multiplier": 1,
        "beta": 0.1,
    }
    assert resolve({**auto, "batch_size": 2}, 300)["batch_size"] == 2
