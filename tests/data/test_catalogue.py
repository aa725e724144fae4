"""Named data sets: the table, the order of looking, and the refusal of what is not it."""

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from recrepro.data import catalogue, content_checksum, load_named
from recrepro.data.datasets import DATASETS, NamedDataset, Source
from recrepro.data.fetch import download_path
from recrepro.data.formats import read_interactions
from recrepro.data.parsing import FORMATS
from recrepro.errors import DataError, UnknownName

LOG = "1\t10\t5\t7\n1\t11\t3\t8\n2\t10\t4\t9\n"
URL = "https://example.invalid/toy.zip"


@pytest.fixture
def toy(monkeypatch, tmp_path) -> NamedDataset:
    """One data set called toy; its download works only where a test says so."""
    monkeypatch.delenv("RECREPRO_DATA", raising=False)
    path = tmp_path / "reference.data"
    path.write_text(LOG)
    entry = NamedDataset(
        "Toy",
        "https://example.invalid/home",
        "none",
        "none",
        *(2, 2, 3),
        format="ncf",
        sources=(Source(("toy/log.dat",), URL, "0" * 64, "toy/log.dat"),),
        content=replace(read_interactions(path), times=None).fingerprint,
    )
    monkeypatch.setattr(catalogue, "DATASETS", {"toy": entry})

    def fetch(url, sha256, *, size_limit, progress):
        raise DataError(f"{url} is out of reach.")

    monkeypatch.setattr(catalogue, "fetch", fetch)
    return entry


def put(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def serve(monkeypatch, *paths: Path):
    left = list(paths)
    monkeypatch.setattr(catalogue, "fetch", lambda *_, **__: left.pop(0))


def pack(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("toy/log.dat", content)
    return path


@pytest.mark.usefixtures("toy")
def test_a_local_copy_needs_no_download(tmp_path):
    put(tmp_path / "toy/log.dat", "".join(reversed(LOG.splitlines(keepends=True))))
    loaded = load_named("toy", tmp_path)
    assert loaded.name == "toy"
    assert loaded.interactions.times.tolist() == [7, 8, 9]


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("place", ["toy.zip", "toy/toy.zip"])
def test_a_local_archive_does_too(tmp_path, place):
    pack(tmp_path / place, LOG)
    assert len(load_named("toy", tmp_path).interactions) == 3


@pytest.mark.usefixtures("toy")
def test_the_argument_comes_before_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("RECREPRO_DATA", str(tmp_path / "b"))
    put(tmp_path / "b/toy/log.dat", LOG)
    assert len(load_named("toy", tmp_path / "a").interactions) == 3
    bad = put(tmp_path / "a/toy/log.dat", LOG + "3\t3\t3\t3\n")
    with pytest.raises(DataError, match=str(bad)):
        load_named("toy", tmp_path / "a")


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LOG + "3\t10\t1\t1\n", "3 users, 2 items and 4 interactions instead of 2, 2 and 3"),
        (LOG.replace("5", "4"), "counts are right but pairs or values differ"),
    ],
)
def test_another_local_file_is_refused_and_left(tmp_path, content, message):
    path = put(tmp_path / "toy/log.dat", content)
    with pytest.raises(DataError, match=message):
        load_named("toy", tmp_path)
    assert path.read_text() == content


def test_another_header_is_another_data_set(toy, tmp_path, monkeypatch):
    entry = replace(toy, format="csv", sources=(Source(("toy/log.csv",), URL),))
    monkeypatch.setattr(catalogue, "DATASETS", {"toy": entry})
    path = put(tmp_path / "toy/log.csv", "who,what\n1,2\n")
    with pytest.raises(DataError, match=r"not the data set 'toy': .*log\.csv has no column 'user'"):
        load_named("toy", tmp_path)
    assert path.exists()
    serve(monkeypatch, path)
    with pytest.raises(DataError, match="no column 'user'"):
        load_named("toy")
    assert not path.exists()


def test_another_known_data_set_is_recognised(toy, tmp_path, monkeypatch):
    other = replace(toy, content="0" * 64)
    monkeypatch.setattr(catalogue, "DATASETS", {"other": other, "toy": toy})
    put(tmp_path / "toy/log.dat", LOG)
    with pytest.raises(DataError, match=r"not the data set 'other'.*It is 'toy'"):
        load_named("other", tmp_path)


@pytest.mark.usefixtures("toy")
def test_what_is_nowhere(tmp_path):
    with pytest.raises(DataError, match="out of reach") as caught:
        load_named("toy", tmp_path)
    message = str(caught.value)
    assert str(tmp_path / "toy/log.dat.gz") in message
    assert str(tmp_path / "toy.zip") in message
    assert "https://example.invalid/home" in message
    with pytest.raises(DataError, match="No data folder is given"):
        load_named("toy")


def test_what_nobody_serves(toy, tmp_path, monkeypatch):
    unserved = replace(toy, sources=(Source(("toy/log.dat",)),))
    monkeypatch.setattr(catalogue, "DATASETS", {"toy": unserved})
    with pytest.raises(DataError, match=r"nobody serves it.*toy/log\.dat.*--data DIR"):
        load_named("toy", tmp_path)


@pytest.mark.usefixtures("toy")
def test_a_download_is_read_from_its_archive(tmp_path, monkeypatch):
    serve(monkeypatch, pack(tmp_path / "cached.zip", LOG))
    assert len(load_named("toy").interactions) == 3


def test_a_download_without_checksum_is_deleted_if_its_content_is_wrong(toy, tmp_path, monkeypatch):
    entry = replace(toy, sources=(Source(("toy/log.dat",), URL),))
    monkeypatch.setattr(catalogue, "DATASETS", {"toy": entry})
    good, bad, broken = (tmp_path / name for name in ("good", "bad", "broken"))
    put(good, LOG)
    serve(monkeypatch, good)
    assert len(load_named("toy").interactions) == 3
    assert good.exists()
    for path, content in ((bad, LOG.replace("5", "4")), (broken, "<html>404</html>")):
        put(path, content)
        serve(monkeypatch, path)
        with pytest.raises(DataError):
            load_named("toy")
        assert not path.exists()


def test_a_published_split_is_known_by_its_parts(toy, tmp_path, monkeypatch):
    parts = {"train": "1\t10\t5\n2\t11\t3\n", "test": "1\t11\t2\n", "negative": "(1,11)\t12\n"}
    for name, content in parts.items():
        put(tmp_path / "toy" / name, content)
    sources = tuple(Source((f"toy/{name}",)) for name in parts)
    entry = replace(toy, sources=sources, content=None, items=3 - 1)
    monkeypatch.setattr(catalogue, "DATASETS", {"toy": entry})
    content = content_checksum(load_named("toy", tmp_path), times=False)
    known = {"toy": replace(entry, content=content)}
    monkeypatch.setattr(catalogue, "DATASETS", known)
    assert load_named("toy", tmp_path).published.negatives.sum() == 1
    put(tmp_path / "toy/negative", "(1,11)\t10\n")
    with pytest.raises(DataError, match="pairs or values differ"):
        load_named("toy", tmp_path)


@pytest.mark.usefixtures("toy")
def test_what_a_run_would_have_to_download(tmp_path, monkeypatch):
    monkeypatch.setenv("RECREPRO_CACHE", str(tmp_path / "cache"))
    assert "toy/log.dat is not here (no data folder" in catalogue.missing_locally("toy")
    assert str(tmp_path / "toy.zip") in catalogue.missing_locally("toy", tmp_path)
    put(download_path(URL), "cached")
    assert catalogue.missing_locally("toy") is None
    download_path(URL).unlink()
    put(tmp_path / "toy/log.dat", LOG)
    assert catalogue.missing_locally("toy", tmp_path) is None


def test_an_unknown_name():
    with pytest.raises(UnknownName, match="'movielens-100k'"):
        load_named("movielens100k")


@pytest.mark.parametrize("name", DATASETS)
def test_the_table(name):
    entry = DATASETS[name]
    assert entry.format in FORMATS
    assert 1 <= len(entry.sources) <= 3
    for source in entry.sources:
        assert source.local
        assert not any(Path(local).is_absolute() or ".." in local for local in source.local)
        assert not source.url or source.url.startswith("https://")
        assert source.sha256 or not source.url or entry.content
        assert len(source.sha256 or "0" * 64) == hashlib.sha256().digest_size * 2


@pytest.mark.realdata
@pytest.mark.parametrize(
    "name", [name for name, entry in DATASETS.items() if entry.content is not None]
)
def test_real_copies_are_what_they_claim(data_dir, name):
    entry = DATASETS[name]
    loaded = load_named(name, data_dir)
    assert content_checksum(loaded, times=False) == entry.content
    assert (loaded.published is None) == (len(entry.sources) == 1)


@pytest.mark.realdata
def test_the_real_ncf_split_is_leave_one_out(data_dir):
    split = load_named("movielens-1m-ncf", data_dir).published
    assert (len(split.train), len(split.test)) == (994_169, 6_040)
    assert (split.test.user_counts == 1).all()
    assert (split.negatives.sum(axis=1) == 99).all()
    assert split.negatives.astype(int).multiply(split.train.matrix > 0).nnz == 0


@pytest.mark.realdata
def test_the_other_release_of_latest_small_is_recognised(data_dir):
    with pytest.raises(DataError, match=r"671 users.*It is 'movielens-latest-small-2016'"):
        load_named("movielens-latest-small", data_dir)
