"""Files that are small, and hold more than any data would, are refused before they are read."""

import bz2
import gzip
import io
import tarfile
import zipfile

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from recrepro.data.catalogue.archives import read_members
from recrepro.data.formats import files, parse
from recrepro.data.formats.read import read_frame
from recrepro.data.synthetic import synthetic
from recrepro.errors import DataError, UsageError

LINES = b"1,1\n" * 6_000_000


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("r.csv.gz", gzip.compress(LINES, 1)),
        ("r.csv.bz2", bz2.compress(bytes(20_000_000))),
        ("r.jsonl.gz", gzip.compress(b'{"user":1,"item":1}\n' * 1_000_000, 1)),
        ("r.parquet.gz", gzip.compress(bytes(20_000_000), 1)),
    ],
)
def test_what_unpacks_to_far_more_than_data_do(tmp_path, name, packed):
    (tmp_path / name).write_bytes(packed)
    with pytest.raises(DataError, match=rf"{name} unpacks to more than 100 times its size"):
        read_frame(tmp_path / name)


def test_a_bomb_behind_other_data_is_one(tmp_path):
    path = tmp_path / "r.csv.gz"
    noise = np.random.default_rng(0).bytes(400_000)  # would allow for 40 MB
    path.write_bytes(gzip.compress(noise + 2 * LINES, 1))
    with pytest.raises(DataError, match="unpacks to more than 100 times its size"):
        files.read_bytes(path)


def test_what_data_are_like_is_read(tmp_path):
    rng = np.random.default_rng(0)
    raw = "user,item\n" + "\n".join(f"{u},{i}" for u, i in rng.integers(9_999, size=(2_000, 2)))
    raw = (raw.encode() + b"\n") * 2
    for pack, name in ((gzip.compress, "a.csv.gz"), (bz2.compress, "a.csv.bz2")):
        (tmp_path / name).write_bytes(pack(raw))
        assert files.read_bytes(tmp_path / name) == raw
    small = b"user,item\n" + b"1,1\n" * 100_000  # of so little, the ratio does not matter
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(small))
    assert files.read_bytes(tmp_path / "b.csv.gz") == small


def test_a_name_in_a_tar_without_end(tmp_path):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("a" * 24_000_000))
    (tmp_path / "a.tar.gz").write_bytes(content.getvalue())
    with pytest.raises(DataError, match="unpacks to more than 100 times its size"):
        list(read_members(tmp_path / "a.tar.gz", "u.data", 10**9))


def test_a_member_of_a_zip_that_unpacks_to_far_more(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("u.data", LINES)
    with pytest.raises(DataError, match="unpacks to 24000000 bytes"):
        list(read_members(tmp_path / "a.zip", "u.data", 10**9))


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_what_memory_cannot_hold(tmp_path, monkeypatch, name):
    monkeypatch.setattr(files, "available_bytes", lambda: 3_000_000)
    raw = b"user,item\n" + np.random.default_rng(0).bytes(2_000_000)
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
    with pytest.raises(DataError, match=r"memory; 3\.0 MB are available"):
        read_frame(tmp_path / name)


def test_a_sparse_file_is_not_read(tmp_path):
    with (tmp_path / "a.csv").open("wb") as file:
        file.truncate(1 << 42)
    with pytest.raises(DataError, match="to read it takes twice as much memory"):
        read_frame(tmp_path / "a.csv")


def written(path, n_rows, user=1):
    column = pa.array([user]).take(pa.array(np.zeros(n_rows, np.int64)))
    parquet.write_table(pa.table({"user": column, "item": column}), path)
    return path


def test_a_footer_with_more_rows_than_bytes_can_tell(tmp_path):
    path = written(tmp_path / "a.parquet", 17_000_000)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(DataError, match=r"promises 17,000,000 rows"):
        read_frame(path)


def test_a_parquet_file_that_memory_cannot_hold_is_not_called_damaged(tmp_path, monkeypatch):
    path = written(tmp_path / "a.parquet", 1_000)
    monkeypatch.setattr("recrepro.compute.memory.available_bytes", lambda: 31_999)
    with pytest.raises(DataError, match=r"1,000 rows of .* needs about 32\.0 kB of memory"):
        read_frame(path)
    monkeypatch.undo()

    def full(*_, **__):
        raise pa.ArrowMemoryError("malloc of size 5 failed")

    monkeypatch.setattr(parse.parquet.ParquetFile, "read", full)
    with pytest.raises(DataError, match=r"does not fit in memory, .*malloc of size 5 failed"):
        read_frame(path)


def test_long_labels_of_a_parquet_file_are_held_once_each(tmp_path):
    path = written(tmp_path / "a.parquet", 200_000, "u" * 1_000)  # 200 MB for each column
    before = pa.default_memory_pool().max_memory()
    frame = read_frame(path)
    assert pa.default_memory_pool().max_memory() - before < 50_000_000
    assert frame["user"].unique().tolist() == ["u" * 1_000]


def test_made_up_data_that_memory_cannot_hold(monkeypatch):
    monkeypatch.setattr("recrepro.compute.memory.available_bytes", lambda: 2_000_000)
    assert len(synthetic(1_000, 500, 5_000)) == 5_000
    for size in ((1_000, 500, 10_000), (10_000, 500, 5_000), (100, 10_000, 500)):
        with pytest.raises(UsageError, match=r"of memory, but 2\.0 MB are available"):
            synthetic(*size)
