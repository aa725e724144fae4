"""Uses what the diffs in CONTRIBUTING.md add; prints what came out, as JSON."""

import json
import sys
from pathlib import Path

import numpy as np

import recrepro
from recrepro.analysis.leaderboard import Leaderboard, Row
from recrepro.data.load import load_dataset
from recrepro.evaluation.definitions import parse_metric
from recrepro.evaluation.metrics import Hits, Ranking
from recrepro.randomness import generator
from recrepro.spec.experiment import Experiment
from recrepro.splits import SPLITS
from recrepro.tables.formats import FORMATS

experiment = Experiment.model_validate_json(sys.argv[1])
dataset = load_dataset(experiment.datasets[0], Path(), None)
parts = SPLITS.resolve("last-n")(n=12).split(dataset, generator(1), generator(2), 0)
hits = Hits(np.array([0, 0]), np.array([1, 3]), np.array([1, 2]), np.ones(2))
ranking = Ranking(hits, np.array([4]), np.array([9]), np.ones(4))
values = [
    parse_metric(f"{m}@5").definition.function(ranking, 5) for m in ("f2", "precision", "recall")
]
rows = [Row("ease", {"ndcg@10": 0.5}, {}, 1, "tuned")]
board = Leaderboard("data", "split", ("ndcg@10",), rows, 9, sampled=False)
found = {
    "where": recrepro.__file__,
    "f2": [float(value[0]) for value in values],
    "held": sorted({int(n) for n in parts.test.user_counts}),
    "org": FORMATS["org"].write([board], [], []),
}
print(json.dumps(found))  # noqa: T201 - the test reads it
