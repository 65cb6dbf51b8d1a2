"""What is asserted of every tuned model: the very tests of the baseline, so that only the model changes."""

import pytest
from test_baseline import test_gate, test_sample, test_scores

__all__ = ["test_gate", "test_sample", "test_scores"]
pytestmark = pytest.mark.finetuned
