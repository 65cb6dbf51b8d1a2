"""The assertion on the gates: they notice each kind of damage to the answers."""

import evaltape


# In quotes: a type that only --mutate imports.
def test_mutants(mutants: "evaltape.TestedMutants") -> None:
    assert mutants.noticed, str(mutants)
