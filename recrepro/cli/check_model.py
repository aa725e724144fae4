"""`recrepro check-model`: check that a model keeps the contract."""

from collections import Counter
from pathlib import Path

import click
from rich.text import Text

from recrepro.cli.console import make_console
from recrepro.cli.output import open_terminal
from recrepro.compute.threads import limited
from recrepro.custom.load import load_model
from recrepro.errors import ModelError
from recrepro.models import MODELS
from recrepro.testing import QUICK_EPOCHS, ModelUnderTest, Outcome, few_epochs, outcomes
from recrepro.text.words import count

STYLES = {"passed": "green", "skipped": "dim", "note": "yellow", "failed": "bold red"}


@click.command(name="check-model")
@click.argument("model", metavar="NAME-OR-CLASS")
@click.option("--strict", is_flag=True, help="Count notes as failures.")
def check_model(model: str, strict: bool) -> None:
    """Check that a model keeps the contract, and say what to change.

    The model is fitted on made-up data. NAME-OR-CLASS is a name that `recrepro ls models` lists, a
    class or function in a file, or one in a package:

    \b
    recrepro check-model ease
    recrepro check-model path/to/file.py:MyModel
    recrepro check-model mypackage.module:MyModel

    A failure ends runs or makes results wrong. A note need not be a fault: models that are made for
    much data, for example, may learn nothing from the 30 users that they get here.
    """
    named = ":" in model or model.endswith(".py")
    console = make_console()
    states: Counter[str] = Counter()
    # For so little data, threads take more time to meet than they save.
    with limited(1), open_terminal():
        subject = load_model(model, Path.cwd()) if named else MODELS.resolve(model)
        quick = few_epochs(subject, QUICK_EPOCHS)
        for outcome in outcomes(ModelUnderTest(subject, quick, strict=strict)):
            states[outcome.state] += 1
            console.print(_line(outcome), soft_wrap=True)
    passed, failed = states["passed"], states["failed"]
    notes = count(states["note"], "note")
    console.print(f"\n{passed} passed, {states['skipped']} skipped, {notes}, {failed} failed.")
    if failed:
        raise ModelError(
            f"{model} fails {failed} of {states.total()} checks. Change what is marked FAILED, "
            "then check again."
        )


def _line(outcome: Outcome) -> Text:
    """Write an outcome as a line, with the reason behind it."""
    state, reason = outcome.state, outcome.reason
    return Text.assemble(
        (f"{state.upper() if state == 'failed' else state:<8} ", STYLES[state]),
        outcome.check.replace("_", " "),
        (f": {reason}" if reason else "", "dim" if state == "skipped" else ""),
    )
