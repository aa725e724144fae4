"""What a running grid shows of a long training."""

from dataclasses import dataclass
from io import StringIO

from rich.console import Console

from recrepro.cli.progress import Progress
from recrepro.run.executors import Event
from recrepro.run.plan import Cell
from recrepro.spec.experiment import ModelSpec


@dataclass(frozen=True)
class Known(Cell):
    @property
    def key(self):
        return "a" * 64


def test_the_running_cell_shows_its_epoch_and_loss_until_the_trial_ends():
    cell = Known({}, "data", "split", ModelSpec(name="neumf"), 1)
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
    trial = {"event": "trial", "finished": 1, "total": 3, "share": 1 / 3, "best": 0.25}
    progress.said(cell, Event(cell.key, trial))
    assert "ndcg@10 0.2500" in shown()
    epoch = {"event": "epoch", "epoch": 7, "values": {"loss": 0.31234, "beta": 0.2}}
    progress.said(cell, Event(cell.key, epoch))
    assert "epoch 7, loss 0.3123, beta 0.2" in shown()
    progress.said(cell, Event(cell.key, {**trial, "finished": 2}))
    assert "epoch" not in shown()
