"""Loading a named data set: the order of looking, and the refusal of what is not it."""

import gzip
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from recrepro.data import catalogue, content_checksum, load_named
from recrepro.data.catalogue import DATASETS, NamedDataset, Source, load
from recrepro.data.catalogue.fetch import download_path
from recrepro.data.formats.read import read_interactions
from recrepro.errors import DataError, UnknownName

LOG = "1\t10\t5\t7\n1\t11\t3\t8\n2\t10\t4\t9\n"
URL = "https://example.invalid/toy.zip"


@pytest.fixture
def toy(monkeypatch, tmp_path) -> NamedDataset:
    """One data set called toy; its download works only where a test says so."""
    monkeypatch.delenv("RECREPRO_DATA", raising=False)
    path = tmp_path / "reference.data"
    path.write_text(LOG)
    log = Source(
        local=("toy/log.dat",), url=URL, checksum=f"sha256:{'0' * 64}", member="toy/log.dat"
    )
    entry = NamedDataset(
        title="Toy",
        homepage="https://example.invalid/home",
        licence="none",
        citation="none",
        family="Toys",
        format="ncf",
        sources={"interactions": log},
        users=2,
        items=2,
        interactions=3,
        content=replace(read_interactions(path), times=None).fingerprint,
    )
    use(monkeypatch, toy=entry)

    def fetch(url, checksum, *, size_limit, progress):
        raise DataError(f"{url} is out of reach.")

    monkeypatch.setattr(load, "fetch", fetch)
    return entry


def use(monkeypatch, **datasets: NamedDataset):
    """Make these the only named data sets."""
    for module in (catalogue, load):
        monkeypatch.setattr(module, "DATASETS", datasets)


def changed(entry: NamedDataset, **fields) -> NamedDataset:
    return NamedDataset(**dict(entry) | fields)


def put(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def serve(monkeypatch, *paths: Path):
    left = list(paths)
    monkeypatch.setattr(load, "fetch", lambda *_, **__: left.pop(0))


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
    entry = changed(
        toy, format="csv", sources={"interactions": Source(local=("toy/log.csv",), url=URL)}
    )
    use(monkeypatch, toy=entry)
    path = put(tmp_path / "toy/log.csv", "who,what\n1,2\n")
    with pytest.raises(DataError, match=r"not the data set 'toy': .*log\.csv has no column 'user'"):
        load_named("toy", tmp_path)
    assert path.exists()
    serve(monkeypatch, path)
    with pytest.raises(DataError, match="no column 'user'"):
        load_named("toy")
    assert not path.exists()


def test_another_known_data_set_is_recognised(toy, tmp_path, monkeypatch):
    other = changed(toy, content="0" * 64)
    use(monkeypatch, other=other, toy=toy)
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
    unserved = changed(toy, sources={"interactions": Source(local=("toy/log.dat",))})
    use(monkeypatch, toy=unserved)
    with pytest.raises(
        DataError, match=r"no address to download it from.*toy/log\.dat.*--data DIR"
    ):
        load_named("toy", tmp_path)


@pytest.mark.usefixtures("toy")
def test_a_download_is_read_from_its_archive(tmp_path, monkeypatch):
    serve(monkeypatch, pack(tmp_path / "cached.zip", LOG))
    assert len(load_named("toy").interactions) == 3


def test_a_download_without_checksum_is_deleted_if_its_content_is_wrong(toy, tmp_path, monkeypatch):
    entry = changed(toy, sources={"interactions": Source(local=("toy/log.dat",), url=URL)})
    use(monkeypatch, toy=entry)
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
    parts = {"train": "1\t10\t5\n2\t11\t3\n", "test": "1\t11\t2\n", "negatives": "(1,11)\t12\n"}
    for name, content in parts.items():
        put(tmp_path / "toy" / name, content)
    sources = {name: Source(local=(f"toy/{name}",)) for name in parts}
    entry = changed(toy, sources=sources, content=None, items=3 - 1)
    use(monkeypatch, toy=entry)
    content = content_checksum(load_named("toy", tmp_path), times=False)
    use(monkeypatch, toy=changed(entry, content=content))
    assert load_named("toy", tmp_path).published.negatives.sum() == 1
    put(tmp_path / "toy/negatives", "(1,11)\t10\n")
    with pytest.raises(DataError, match="pairs or values differ"):
        load_named("toy", tmp_path)


@pytest.mark.usefixtures("toy")
def test_what_a_run_would_have_to_download(tmp_path, monkeypatch):
    monkeypatch.setenv("RECREPRO_CACHE", str(tmp_path / "cache"))
    assert "toy/log.dat is not here (no data folder" in load.missing_locally("toy")
    assert str(tmp_path / "toy.zip") in load.missing_locally("toy", tmp_path)
    put(download_path(URL), "cached")
    assert load.missing_locally("toy") is None
    download_path(URL).unlink()
    put(tmp_path / "toy/log.dat", LOG)
    assert load.missing_locally("toy", tmp_path) is None


def test_an_unknown_name():
    with pytest.raises(UnknownName, match="'movielens-100k'"):
        load_named("movielens100k")


@pytest.mark.usefixtures("toy")
def test_the_rows_are_counted_before_repeated_pairs_become_one(toy, tmp_path, monkeypatch):
    entry = changed(toy, items=None, interactions=None, content=None, rows=4)
    use(monkeypatch, toy=entry)
    put(tmp_path / "toy/log.dat", LOG + "2\t10\t4\t10\n")
    assert len(load_named("toy", tmp_path).interactions) == 3
    put(tmp_path / "toy/log.dat", LOG)
    with pytest.raises(DataError, match="it has 2 users and 3 rows instead of 2 and 4"):
        load_named("toy", tmp_path)


def test_all_files_that_match_belong_to_a_part(toy, tmp_path, monkeypatch):
    source = Source(local=("toy/log_*.dat",), archives={"toy.zip": "*/log_*.dat"})
    entry = changed(toy, sources={"interactions": source})
    use(monkeypatch, toy=entry)
    lines = LOG.splitlines(keepends=True)
    with zipfile.ZipFile(tmp_path / "toy.zip", "w") as archive:
        archive.writestr("toy/log_2.dat", lines[2])
        archive.writestr("toy/log_1.dat", lines[0] + lines[1])
        archive.writestr("toy/readme", "none of it")
    assert load_named("toy", tmp_path).interactions.times.tolist() == [7, 8, 9]
    (tmp_path / "toy.zip").unlink()
    with pytest.raises(DataError, match=r"log_\*\.dat.*or the archive toy\.zip"):
        load_named("toy", tmp_path)
    put(tmp_path / "toy/log_1.dat", lines[0] + lines[1])
    with pytest.raises(DataError, match="2 interactions instead of"):
        load_named("toy", tmp_path)
    put(tmp_path / "toy/log_2.dat", lines[2])
    assert load_named("toy", tmp_path).interactions.times.tolist() == [7, 8, 9]


def test_each_part_may_have_a_format_and_columns_of_its_own(toy, tmp_path, monkeypatch):
    sources = {
        "train": Source(local=("toy/train.rating",)),
        "validation": Source(local=("toy/v.csv",), format="semicolon", columns={"item": "book"}),
        "test": Source(local=("toy/test.rating",), format="adjacency"),
    }
    entry = changed(toy, sources=sources, content=None, items=4, interactions=5, rows=5)
    use(monkeypatch, toy=entry)
    put(tmp_path / "toy/train.rating", "1\t10\t5\n2\t11\t3\n")
    put(tmp_path / "toy/v.csv", "user;book\n2;13\n")
    put(tmp_path / "toy/test.rating", "1 11 12\n2\n")
    split = load_named("toy", tmp_path).published
    assert split.train.matrix.toarray().tolist() == [[5, 0, 0, 0], [0, 3, 0, 0]]
    assert split.validation.matrix.toarray().tolist() == [[0, 0, 0, 0], [0, 0, 0, 1]]
    assert split.test.matrix.toarray().tolist() == [[0, 1, 1, 0], [0, 0, 0, 0]]


@pytest.mark.realdata
@pytest.mark.parametrize("name", [name for name, entry in DATASETS.items() if entry.content])
def test_real_copies_are_what_they_claim(data_dir, name):
    if missing := load.missing_locally(name, data_dir):
        pytest.skip(f"real data: {missing}")
    entry = DATASETS[name]
    loaded = load_named(name, data_dir)
    used = loaded.interactions.without_unused_labels()
    assert (used.n_users, used.n_items, len(used)) == (entry.users, entry.items, entry.interactions)
    assert content_checksum(loaded, times=False) == entry.content
    assert (loaded.published is None) == (set(entry.sources) == {"interactions"})


@pytest.mark.realdata
def test_any_other_real_copy_has_the_counts_of_the_table(data_dir):
    here = [
        name
        for name, entry in DATASETS.items()
        if not entry.content
        and name != "movielens-latest-small"  # At hand is the release of 2016: see below.
        and load.missing_locally(name, data_dir) is None
    ]
    if not here:
        pytest.skip("real data: none of the data sets whose content is not known is here")
    for name in here:
        load_named(name, data_dir)


PUBLISHED_SIZES = {
    "movielens-100k-mcrec": (80_000, 20_000),
    "movielens-1m-spectralcf": (179_207, 47_103),
    "movielens-1m-lcfn": (796_244, 99_455),
    "citeulike-a-cvae-p1": (5_551, 199_435),
    "citeulike-a-cvae-p10": (55_510, 149_476),
    "citeulike-t-cvae-p1": (7_947, 126_913),
    "citeulike-a-cmn": (199_435, 5_551),
    "yelp2018-lightgcn": (1_237_259, 324_147),
    "amazon-book-kgat": (652_514, 193_920),
    "amazon-cds-m1": (604_475, 172_951),
    "amazon-electronics-m1": (31_887, 4_044),
    "lastfm-lightgcn": (42_135, 10_533),
    "epinions-mulsetrank": (499_845, 164_978),
}


@pytest.mark.realdata
@pytest.mark.parametrize("name", PUBLISHED_SIZES)
def test_real_parts_have_their_published_sizes(data_dir, name):
    split = load_named(name, data_dir).published
    assert (len(split.train), len(split.test)) == PUBLISHED_SIZES[name]


@pytest.mark.realdata
def test_articles_that_are_in_no_library_are_candidates(data_dir):
    """The study ranks all 25,975 articles of CiteULike-t; 25,584 are in a library."""
    split = load_named("citeulike-t-cvae-p1", data_dir).published
    assert split.train.n_items == split.test.n_items == 25_975
    read = set((split.train.item_counts + split.test.item_counts).nonzero()[0].tolist())
    assert len(read) == 25_584
    with gzip.open(data_dir / "citeulike-t-cvae/cf-train-1-users.dat.gz", "rt") as file:
        n, first = map(int, file.readline().split())
    mine = split.train.items[split.train.users == 0]
    assert n == 1
    assert split.train.item_ids[mine].tolist() == [first]


@pytest.mark.realdata
def test_a_real_sequence_ends_with_its_last_item(data_dir):
    log = load_named("s3rec-beauty", data_dir).interactions
    with gzip.open(data_dir / "s3rec-sequences/Beauty.txt.gz", "rt") as file:
        user, *items = file.readline().split()
    mine = log.users == log.user_ids.tolist().index(int(user))
    order = log.items[mine][log.times[mine].argsort()]
    assert log.item_ids[order].tolist() == list(map(int, items))


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
