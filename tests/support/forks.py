"""The command line in processes that start at once: forks of one that has loaded its libraries.

They end as any other process does, also by SIGKILL. Most of the time of a short command goes into
loading MLflow, pandas, SQLAlchemy and numba.
"""

import multiprocessing
import os
import sys
from subprocess import CompletedProcess

from support.places import Place

from recrepro.cli import main

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["recrepro.cli.grid", "recrepro.tracking.writer", "mlflow.tracking.client", "support.forks"]
)


def call(place: Place, *arguments: str, **variables: str) -> CompletedProcess:
    """Call recrepro with environment variables; wait for its end."""
    said = {name: place.root / f"{name}.txt" for name in ("stdout", "stderr")}
    variables = os.environ | {"COLUMNS": "200"} | place.environment | variables
    process = _FORKS.Process(target=_work, args=(place.root, arguments, variables, said))
    process.start()
    process.join()
    return CompletedProcess(
        arguments, process.exitcode, *(said[name].read_text() for name in ("stdout", "stderr"))
    )


def _work(folder, arguments, variables, said):
    os.chdir(folder)
    os.environ.update(variables)
    sys.path[:0] = variables.get("PYTHONPATH", "").split(os.pathsep)
    for name, path in said.items():
        with path.open("w") as file:
            os.dup2(file.fileno(), getattr(sys, name).fileno())
    sys.argv = ["recrepro", *arguments]
    main()
