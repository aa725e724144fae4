"""What a running grid shows of a long training."""

from io import StringIO

from rich.console import Console
from support.results import make_identity, make_name

from recrepro.cli.progress import Progress
from recrepro.run.events import EpochFinished, Event, TrialFinished
from recrepro.run.plan import Cell
from recrepro.spec.experiment import ModelSpec


def test_the_running_cell_shows_its_epoch_and_loss_until_the_trial_ends():
    cell = Cell(make_name("neumf"), make_identity("neumf"), ModelSpec(name="neumf"))
    console = Console(file=StringIO(), force_terminal=True, width=150)
    progress = Progress(
        console,
        cells=[cell],
        n_trials=3,
        trials_of=lambda _: 3,
        metric="ndcg@10",
        on_change=lambda: None,
    )

    def shown():
        with console.capture() as capture:
            console.print(progress._render())
        return capture.get()

    progress.started(cell)
    trial = TrialFinished(finished=1, total=3, share=1 / 3, best=0.25)
    progress.said(cell, Event(cell.key, trial))
    assert "ndcg@10 0.2500" in shown()
    epoch = EpochFinished(epoch=7, values={"loss": 0.31234, "beta": 0.2})
    progress.said(cell, Event(cell.key, epoch))
    assert "epoch 7, loss 0.3123, beta 0.2" in shown()
    progress.said(cell, Event(cell.key, trial.model_copy(update={"finished": 2})))
    assert "epoch" not in shown()
