"""Which schedulers may be used, what a job demands of a worker, what goes over the wire."""

import json
import pickle

import pytest

from recrepro.errors import DataError, RecreproError, UsageError
from recrepro.run.dask_executor import check_address, demanded, is_here
from recrepro.run.dask_worker import run_job
from recrepro.run.transfer import CHUNK, manifest, read_chunk, receive
from recrepro.store.address import LedgerAddress

SERVER = LedgerAddress("postgresql://me@db.example/ledger")
FILE = LedgerAddress("sqlite:////runs/ledger.db")


@pytest.mark.parametrize(
    "address",
    ["tcp://127.0.0.1:8786", "127.0.0.1:8786", "tcp://localhost:1", "tcp://[::1]:1", "127.8.9.1:2"],
)
def test_a_scheduler_on_this_machine_needs_no_certificate(address):
    assert is_here(address)
    check_address(address, FILE)


@pytest.mark.parametrize(
    "address",
    [
        "tcp://10.0.0.7:8786",
        "node1:8786",
        "tcp://node1.cluster.example:8786",
        "tcp://0.0.0.0:8786",
        "tcp://[2001:db8::1]:8786",
        "tcp://127.0.0.1.example:8786",
        "tcp://localhost@node1:8786",
        "ws://127.0.0.1:8786",
        "ucx://node1:8786",
    ],
)
def test_a_scheduler_elsewhere_must_be_reached_by_tls(address):
    with pytest.raises(UsageError, match=r"not encrypted.*tls://HOST:PORT"):
        check_address(address, SERVER)


def test_tls_without_certificates_is_refused_with_what_to_set():
    with pytest.raises(UsageError, match=r"distributed\.comm\.tls\.ca-file"):
        check_address("tls://node1:8786", SERVER)


def test_workers_elsewhere_need_a_ledger_on_a_server(certificates):
    import dask

    with dask.config.set({f"distributed.comm.tls.{k}": v for k, v in certificates.items()}):
        check_address("tls://node1:8786", SERVER)
        check_address("tls://127.0.0.1:8786", FILE)
        with pytest.raises(UsageError, match=r"SQLite is for one machine.*--ledger postgresql://"):
            check_address("tls://node1:8786", FILE)


SMALL, LARGE, PLAIN = {"MEMORY": 4e9}, {"MEMORY": 64e9, "GPU": 1}, {}


@pytest.mark.parametrize(
    ("wants", "declared", "expected"),
    [
        ({"MEMORY": 10**9, "GPU": 1}, [PLAIN, PLAIN], {}),
        ({"MEMORY": 10**9, "GPU": 1}, [], {}),
        ({"MEMORY": 10**9, "GPU": 1}, [SMALL, PLAIN], {"MEMORY": 10**9}),
        ({"MEMORY": 10**9, "GPU": 1}, [SMALL, LARGE], {"MEMORY": 10**9, "GPU": 1}),
        ({}, [SMALL, LARGE], {}),
    ],
)
def test_a_job_demands_what_it_wants_and_workers_declare(wants, declared, expected):
    assert demanded(wants, declared) == expected


@pytest.mark.parametrize(
    ("wants", "declared"),
    [({"MEMORY": 10**11}, [SMALL, LARGE]), ({"MEMORY": 10**10, "GPU": 1}, [{"GPU": 1}, SMALL])],
)
def test_a_job_that_is_too_large_for_every_worker_is_refused(wants, declared):
    with pytest.raises(RecreproError, match=r"no worker of the cluster declares as much"):
        demanded(wants, declared)


def test_what_goes_over_the_wire_is_a_name_and_a_string():
    parts = pickle.dumps(run_job)
    assert len(parts) < 100
    assert pickle.loads(parts) is run_job


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1, 2 * CHUNK + 7])
def test_a_file_arrives_as_it_was_sent_chunk_by_chunk(tmp_path, size):
    source = tmp_path / "there" / "file"
    source.parent.mkdir()
    source.write_bytes(bytes(range(251)) * (size // 251) + bytes(size % 251))
    ((name, (stated, sha256)),) = manifest(source.parent).items()
    asked = []

    def ask(offset):
        asked.append(offset)
        return read_chunk(source, offset)

    receive(tmp_path / "here" / name, sha256, stated, ask)
    assert (tmp_path / "here" / "file").read_bytes() == source.read_bytes()
    assert asked == list(range(0, size, CHUNK))


@pytest.mark.parametrize("sent", [b"", b"short", b"wrong content", b"the content and more"])
def test_a_file_that_arrives_otherwise_is_refused_and_not_there(tmp_path, sent):
    source = tmp_path / "there"
    source.mkdir()
    (source / "file").write_bytes(b"the content..")
    size, sha256 = manifest(source)["file"]
    with pytest.raises(DataError, match="came otherwise than it was sent"):
        receive(tmp_path / "here" / "file", sha256, size, lambda offset: sent[offset:])
    assert [*(tmp_path / "here").iterdir()] == []


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3cret@db.example:5433/ledger?sslmode=require",
        "postgresql+psycopg://me@db.example:5433/ledger?sslmode=require&password=s3cret",
    ],
)
def test_an_address_shows_no_password_but_processes_of_ours_get_it(url):
    address = LedgerAddress(url)
    bare = "postgresql+psycopg://me@db.example:5433/ledger?sslmode=require"
    assert str(address) == bare
    assert address.secrets == {"PGPASSWORD": "s3cret"}
    assert "s3cret" not in json.dumps(str(address.unreachable(ValueError("gone"))))
    assert LedgerAddress(bare).secrets == {}


@pytest.mark.parametrize("url", ["ledger.db", "mysql://me:s3cret@db.example/x", "://", ""])
def test_what_can_be_no_ledger_is_a_usage_error_without_the_address(url):
    with pytest.raises(UsageError, match="postgresql://user@host/database") as caught:
        LedgerAddress(url)
    assert "s3cret" not in str(caught.value)
