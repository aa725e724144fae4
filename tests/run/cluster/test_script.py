"""The script that starts a whole cluster on one machine."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
from support.places import toy_experiment

ROOT = Path(__file__).parents[3]
TOY = toy_experiment(
    "the script works",
    """[[models]]
name = "toppopular"
""",
)


@pytest.mark.nightly
def test_a_cluster_on_one_machine_runs_a_command_and_ends_with_it(postgres, free_port, tmp_path):
    ports = {"SCHEDULER_PORT": str(free_port()), "MLFLOW_PORT": str(free_port())}
    environment = os.environ | ports | {"PYTHON": sys.executable, "WORKERS": "1"}
    (tmp_path / "toy.toml").write_text(TOY)
    recrepro = [sys.executable, "-P", "-m", "recrepro"]
    run = [*recrepro, "run", "toy.toml", "--executor", "dask"]
    # In a folder that the user of PostgreSQL can enter, which is not root.
    with tempfile.TemporaryDirectory(prefix="cluster-") as folder:
        Path(folder).chmod(0o755)
        script = [ROOT / "experiments/cluster.sh", folder]
        options = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
        done = subprocess.run([*script, *run], check=False, **options)
        logs = "".join(log.read_text() for log in Path(folder, "logs").iterdir())
        assert done.returncode == 0, done.stderr + logs
        assert "toppopular" in done.stdout
        assert "could not be brought up to date" not in done.stdout
        assert not Path(folder, "runs", "ledger.db").exists()
        assert Path(folder, "mlflow-artifacts").is_dir()
        # The database is kept: a second start finds the results. The command's exit code is ours.
        board = [*recrepro, "leaderboard", "toy.toml", "--format", "csv"]
        again = subprocess.run(
            [*script, "sh", "-c", '"$@"; exit 7', "-", *board], check=False, **options
        )
        assert again.returncode == 7, again.stderr
        assert "toppopular" in again.stdout
        left = [p.info["cmdline"] for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"]]
        assert [command for command in left if folder in " ".join(command)] == []
