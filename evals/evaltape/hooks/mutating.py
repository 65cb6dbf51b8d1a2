"""`--mutate`: before the first test recorded answers are damaged, and every assertion on their scores is decided again.

xdist starts no workers. The models of all selected tests are looked at, so `-m` and `-k` choose models also where no test asks
for `mutants`.
"""

import pytest

from evaltape.evaluation import Evaluation
from evaltape.hooks.cases import MUTANTS, Case, case_of
from evaltape.hooks.selection import mutant_models
from evaltape.mutation.model_mutants import TestedMutants
from evaltape.options import as_usage_error
from evaltape.reporting.listings import detail_lines, table_lines
from evaltape.reporting.terminal import print_wrapped
from evaltape.suite.definition import Model


class Mutating:
    """The hooks of such a session, beside the controller's."""

    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation = evaluation
        self.models: list[Model] = []
        """The selected models; known once everything is collected."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep the models of the selected tests, and the tests of mutants."""
        self.models = mutant_models(items, self.evaluation)
        kept = [item for item in items if (case := case_of(item)) is not None and case.subject == MUTANTS]
        others = set(items) - set(kept)
        if others:
            config.hook.pytest_deselected(items=[item for item in items if item in others])
            items[:] = kept

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Damage and score the answers of every model, unless something was wrong in collection."""
        failed = session.testsfailed and not session.config.option.continue_on_collection_errors
        if failed or session.config.option.collectonly:
            return
        reporter = session.config.pluginmanager.getplugin("terminalreporter")
        with as_usage_error():
            for model in self.models:
                if reporter is not None and reporter.verbosity >= 0:
                    reporter.write_line(f"damaging the answers of {model.key} ({model.suite})")
                self.evaluation.mutants(model)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print a table per model, and the conclusions."""
        found = self.evaluation.findings.mutants
        for workspace in self.evaluation.workspaces.values() if found and terminalreporter.verbosity > -2 else ():
            mutants = [found[workspace.name, key] for key in workspace.suite.models if (workspace.name, key) in found]
            if mutants:
                terminalreporter.write_sep("=", f"mutants: {workspace.name}")
            for each in mutants:
                heading, *table = table_lines(each, terminalreporter._tw.fullwidth)
                terminalreporter.write_line(heading, bold=True)
                for line in table:
                    terminalreporter.write_line(line)
                for line in detail_lines(each) if terminalreporter.verbosity >= 0 else ():
                    print_wrapped(terminalreporter, line)


def tested_mutants(request: pytest.FixtureRequest, evaluation: Evaluation) -> TestedMutants:
    """Return how a model's gates notice an operator; skip the test if it applies to no answer."""
    case: Case = request.param
    model, name = case.model, case.operator
    assert model is not None
    study = evaluation.mutants(model).study
    operator = next(each for each in study.operators if each.operator == name)
    if operator.answers and not operator.applies_to:
        pytest.skip(f"not checked: {name} applies to none of the {operator.answers} answers of {model.key}")
    share = [] if operator.share is None else [("smallest_share", operator.share)]
    request.node.user_properties.extend([("applies_to", operator.applies_to), ("noticed_at", study.noticed_at), *share])
    return TestedMutants(model, operator, study)
