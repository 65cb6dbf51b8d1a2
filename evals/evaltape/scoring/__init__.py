"""The scores of answers: means, intervals, comparisons, and the decisions on bounds."""
