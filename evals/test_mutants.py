"""What is asserted of the gates: some gate notices each kind of damage to answers."""


def test_mutants(mutants):
    assert mutants.noticed, str(mutants)
