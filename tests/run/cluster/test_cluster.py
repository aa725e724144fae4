"""Grids on a real cluster: scheduler, workers, PostgreSQL and MLflow as separate processes."""

import os
import shutil
import subprocess

import psutil
import pytest

pytestmark = pytest.mark.slow
FITS = 2 * (4 + 1)
PASSWORD = "s3same-open"


def run_on(cluster, **environment):
    where = ("--executor", "dask", "--scheduler", cluster.address)
    return cluster.site.start("run", *where, **environment)


def finished(process):
    out, err = process.communicate(timeout=540)
    return process.returncode, out, err


def test_a_cluster_gives_the_results_of_one_machine_and_mlflow_has_them(
    site, undisturbed, make_cluster, mlflow_on_postgres
):
    cluster = make_cluster(site)
    code, out, err = finished(run_on(cluster, MLFLOW_TRACKING_URI=mlflow_on_postgres))
    assert code == 0, err
    assert site.outcome() == undisturbed.outcome()
    assert site.fits == FITS
    board = undisturbed.board()
    assert site.board() == board
    assert site.board("--mlflow", mlflow_on_postgres) == board
    assert not (site.workspace / "ledger.db").exists()
    # Trust: the server does not ask for the password, so that nobody needs it to have been told.
    texts = [out, err, *(log.read_text() for log in cluster.logs)]
    files = [path for path in site.workspace.rglob("*") if path.is_file()]
    assert [t for t in texts if PASSWORD in t] == []
    assert [f for f in files if PASSWORD.encode() in f.read_bytes()] == []


def caught(site, cluster, process, until):
    """Wait until a fit is in the trap; return the worker that runs it."""
    until((site.notes / "caught").is_file, process, "a fit in the trap")
    fit = psutil.Process(int((site.notes / "caught").read_text()))
    (site.notes / "caught").unlink()
    above = {parent.pid for parent in fit.parents()}
    (worker,) = above & cluster.workers.keys()
    return fit, cluster.workers.pop(worker)


@pytest.mark.nightly  # 50 s, most of it waiting for the scheduler to notice
def test_workers_and_the_scheduler_may_be_killed(site, undisturbed, make_cluster, until, sigkill):
    cluster = make_cluster(site)
    trap = site.notes / "trap"
    trap.touch()
    process = run_on(cluster)
    fit, worker = caught(site, cluster, process, until)
    sigkill(worker)
    psutil.wait_procs([fit], timeout=60)
    assert not fit.is_running()
    # It begins again where the other worker has a place: a trap before that could hold the place.
    assert any("has gone; goes on after its last trial" in line for line in process.stdout)
    trap.touch()
    fit, _ = caught(site, cluster, process, until)
    sigkill(cluster.process)
    code, out, err = finished(process)
    assert code == 3, out
    assert f"the scheduler {cluster.address} cannot be reached" in err
    assert "run the same command again" in err
    psutil.wait_procs([fit], timeout=60)
    assert not fit.is_running()

    second = make_cluster(site)
    code, _, err = finished(run_on(second))
    assert code == 0, err
    assert site.outcome() == undisturbed.outcome()
    assert site.fits == FITS + 2
    assert site.board() == undisturbed.board()


@pytest.mark.nightly  # 35 s, for the same reason
def test_a_run_that_is_killed_leaves_nothing_running_on_the_workers(
    site, make_cluster, until, undisturbed
):
    cluster = make_cluster(site)
    (site.notes / "trap").touch()
    process = run_on(cluster)
    fit, _ = caught(site, cluster, process, until)
    process.kill()
    process.communicate()
    psutil.wait_procs([fit], timeout=60)
    assert not fit.is_running()
    code, _, err = finished(run_on(cluster))
    assert code == 0, err
    assert site.outcome() == undisturbed.outcome()
    assert site.fits == FITS + 1


@pytest.mark.nightly  # a scheduler and workers of its own
def test_workers_that_do_not_see_the_workspace_get_the_data_and_send_the_results(
    site, undisturbed, make_cluster, certificates
):
    """Over TLS, and with a ledger that only the coordinator was told the password of."""
    site.workspace.mkdir()
    kind = "-m" if os.geteuid() == 0 else "-Urm"
    hidden = ["unshare", kind, "sh", "-c", f'mount -t tmpfs none {site.workspace} && exec "$@"']
    if (
        shutil.which("unshare") is None
        or subprocess.run([*hidden, "-", "true"], check=False).returncode
    ):
        pytest.skip("hiding a folder from a process: that takes Linux and user namespaces")
    cert, key = certificates["client.cert"], certificates["client.key"]
    tls = {"CA_FILE": cert, "CLIENT__CERT": cert, "CLIENT__KEY": key}
    cluster = make_cluster(
        site,
        protocol="tls",
        workers=1,
        wrap=[*hidden, "-"],
        options=["--tls-ca-file", cert, "--tls-cert", cert, "--tls-key", key],
        resources=["--resources", "MEMORY=8e9"],
    )
    environment = {f"DASK_DISTRIBUTED__COMM__TLS__{name}": path for name, path in tls.items()}
    code, _, err = finished(run_on(cluster, **environment))
    assert code == 0, err
    assert site.outcome() == undisturbed.outcome()
    (splits,) = site.root.glob("worker-0/**/recrepro/splits")
    fetched = [folder for folder in splits.iterdir() if folder.is_dir()]
    assert len(fetched) == 2  # one for each seed, though each was needed twice
    # Their features too, which have the secret numbers of the split.
    features = list(splits.with_name("features").glob("*/features.npz"))
    assert len(features) == 2
    assert all(one.stat().st_size for one in features)
    assert site.board() == undisturbed.board()
