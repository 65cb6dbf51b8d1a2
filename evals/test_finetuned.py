"""What is asserted of every tuned model: the very tests of the baseline, so that only the model changes."""

import pytest

from evals.test_baseline import test_rouge, test_sample, test_scores

__all__ = ["test_rouge", "test_sample", "test_scores"]
pytestmark = pytest.mark.finetuned
