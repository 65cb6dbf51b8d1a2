"""What pytest's items are to Evaltape: tests of a sample, and gates."""

from typing import Any

import pytest

from evaltape.session import Selected


def is_gate(item: pytest.Item) -> bool:
    """Whether a test asserts on all samples of a model."""
    return item.get_closest_marker("gate") is not None


def selected_samples(items: list[pytest.Item]) -> Selected:
    """The (model, sample) of each selected sample test."""
    return [parameters_of(item)["prediction"] for item in items if "prediction" in parameters_of(item)]


def parameters_of(item: pytest.Item) -> dict[str, Any]:
    """What a test is parametrized with; nothing where it is not."""
    callspec = getattr(item, "callspec", None)
    return callspec.params if callspec is not None else {}
