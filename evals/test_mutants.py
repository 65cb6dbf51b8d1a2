"""What is asserted of the gates: some gate notices each kind of damage to answers."""

import evaltape


def test_mutants(mutants: "evaltape.TestedMutants") -> None:
    assert mutants.noticed, str(mutants)
