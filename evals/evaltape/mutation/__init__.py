"""Mutation testing of gates: recorded answers are damaged on purpose, to see how much of the damage each gate notices.

`operators` has the kinds of damage, `model_mutants` applies them to a model's answers and scores the result, `study` decides
the gates again on growing shares of damaged answers, and `suggestion` proposes gates.

Sources: Sai et al., *Perturbation CheckLists for Evaluating NLG Evaluation Metrics*, EMNLP 2021 (perturbations that harm one
property of a text); DeMillo, Lipton & Sayward, *Hints on Test Data Selection*, IEEE Computer 11(4), 1978 (mutation testing);
Jia & Harman, *An Analysis and Survey of the Development of Mutation Testing*, IEEE TSE 37(5), 2011 (the mutation score).
"""
