"""What a model may not read, and the ways round that were tried."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recrepro.run.confinement import Confinement

MODELS = """
import ctypes, json, mmap, os, sqlite3, subprocess
from pathlib import Path
import numpy as np
from recrepro.model import Recommender

HERE = Path(__file__).parent
RAW = str(HERE / "data" / "ratings.parquet")

class Popular(Recommender):
    def fit(self, train, rng):
        self.look()
        self.counts = train.item_counts.astype(np.float32)
        return self
    def look(self):
        pass
    def score(self, users, histories):
        return np.tile(self.counts, (len(users), 1))

class Honest(Popular):
    def look(self):
        import tempfile
        with tempfile.TemporaryFile() as file:  # a model may have files of its own
            file.write(b"x")
            file.seek(0)
            assert file.read() == b"x"
        assert (HERE / "weights.txt").read_text() == "1 2 3"

class Opens(Popular):
    def look(self):
        open(RAW, "rb").read()

class Swallows(Popular):
    def look(self):
        try:
            Path(RAW).read_bytes()
        except Exception:
            pass

class Scores(Popular):
    def score(self, users, histories):
        if len(users) > 1:
            try:
                np.loadtxt(RAW, delimiter=",", dtype=str)
            except Exception:
                pass
        return super().score(users, histories)

class Arrow(Popular):
    def look(self):
        import pyarrow.parquet
        pyarrow.parquet.read_table(RAW)

class MemoryMap(Popular):
    def look(self):
        import pyarrow
        pyarrow.memory_map(RAW).read()

class Child(Popular):
    def look(self):
        subprocess.run(["cat", RAW], check=True, capture_output=True)

class LibC(Popular):
    def look(self):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.open(RAW.encode(), 0) < 0:
            raise OSError(ctypes.get_errno(), "libc", RAW)

class Link(Popular):
    def look(self):
        os.link(RAW, HERE / "innocent")
        open(HERE / "innocent", "rb").read()

class Symlink(Popular):
    def look(self):
        if not (HERE / "pointer").is_symlink():
            os.symlink(RAW, HERE / "pointer")
        open(HERE / "pointer", "rb").read()

class Rename(Popular):
    def look(self):
        os.rename(RAW, HERE / "moved.parquet")
        open(HERE / "moved.parquet", "rb").read()

class Parent(Popular):
    def look(self):
        open(f"/proc/{os.getppid()}/mem", "rb").seek(4096)

class Others(Popular):
    def look(self):
        path, *_ = HERE.glob("runs/blobs/??/*")
        path.read_bytes()

class NewFile(Popular):
    def look(self):
        (HERE / "scratch.txt").write_text("x")
        (HERE / "scratch.txt").read_text()
"""
NAMED = {
    "Opens": "ratings.parquet",
    "Swallows": "ratings.parquet",
    "Scores": "ratings.parquet",
    "Symlink": "pointer",
    "Link": "ratings.parquet",
    "Rename": "ratings.parquet",
}
"""Models that Python's own hook stops, and the file that the record names."""
BY_LANDLOCK = {
    "Arrow": "ratings.parquet",
    "MemoryMap": "ratings.parquet",
    "Child": "returned non-zero exit status",
    "LibC": "ratings.parquet",
    "Parent": "",
}


def has_landlock() -> bool:
    code = (
        "from recrepro.run.confinement import Confinement; from pathlib import Path\n"
        "c = Confinement([Path('/etc/hostname')], []); c.begin(); print('landlock' in c.means)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip() == "True"


LANDLOCK = has_landlock()
needs_landlock = pytest.mark.skipif(not LANDLOCK, reason="this system has no Landlock")


@pytest.fixture(scope="module")
def confined(make_place):
    """Reasons of the cells that failed, by model; and the record of an honest one."""
    place = make_place("")
    pairs = [(user, (7 * user + 3 * step) % 40) for user in range(60) for step in range(12)]
    (place.root / "data").mkdir()
    columns = {"user": [u for u, _ in pairs], "item": [i for _, i in pairs]}
    pq.write_table(pa.table(columns), place.root / "data" / "ratings.parquet")
    (place.root / "weights.txt").write_text("1 2 3")
    (place.root / "model.py").write_text(MODELS)
    names = ["Honest", *NAMED, *BY_LANDLOCK, "Others", "NewFile"]
    place.file.write_text(
        "schema = 1\nclaim = 'models that read what they should not'\n"
        "[[datasets]]\nname = 'mine'\nfile = 'data/ratings.parquet'\n"
        "[[splits]]\nname = 'random-holdout'\n"
        "[evaluate]\nmetrics = ['ndcg@10']\n"
        + "".join(
            f"[[models]]\nclass = 'model.py:{name}'\nlabel = '{name.lower()}'\n" for name in names
        )
    )
    done = place.run("--jobs", "2")
    assert done.returncode == 3, done
    reasons = {}
    for name in names:
        shown = place.call(
            "show", f"mine/random-holdout/{name.lower()}", "--workspace", str(place.workspace),
            "--format", "json",
        )  # fmt: skip
        if shown.returncode == 0:
            reasons[name] = json.loads(shown.stdout)
        else:
            reasons[name] = next(
                line for line in done.stdout.splitlines() if line.startswith(f"{name.lower()}: ")
            )
    assert (place.root / "data" / "ratings.parquet").is_file()
    return reasons


pytestmark = pytest.mark.slow  # whole runs


def test_an_honest_model_reads_its_own_files_and_the_record_says_what_was_in_force(confined):
    expected = ["audit hook", "landlock"] if LANDLOCK else ["audit hook"]
    assert confined["Honest"]["confined_by"] == expected


@pytest.mark.parametrize("name", NAMED)
def test_a_model_that_reads_raw_data_fails_and_the_reason_names_the_file(confined, name):
    assert "no model may read" in confined[name]
    assert NAMED[name] in confined[name]


@needs_landlock
@pytest.mark.parametrize("name", BY_LANDLOCK)
def test_the_system_refuses_what_python_does_not_see(confined, name):
    assert "failed" in confined[name]
    assert BY_LANDLOCK[name] in confined[name]


def test_results_of_other_cells_are_sealed_off(confined):
    assert "failed" in confined["Others"]


@needs_landlock
def test_a_new_file_beside_the_data_cannot_be_read_back_and_the_reason_says_why(confined):
    assert "scratch.txt: files that are new in" in confined["NewFile"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("data/raw.csv", True),
        ("data/deep/er/raw.csv", True),
        ("data/mine/weights.npz", False),
        ("data/mine/raw.csv", True),
        ("elsewhere.txt", False),
        ("database/x", False),
        ("data/../elsewhere.txt", False),
        ("data/mine/../raw.csv", True),
    ],
)
def test_the_most_specific_place_decides(tmp_path, path, expected):
    for folder in ("data/deep/er", "data/mine", "database"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "data" / "mine" / "raw.csv").write_text("x")
    sealed = [tmp_path / "data", tmp_path / "data" / "mine" / "raw.csv"]
    confinement = Confinement(sealed, [tmp_path / "data" / "mine"])
    assert confinement.seals(tmp_path / path) == expected


def test_what_is_not_there_does_not_close_the_folders_above_it(tmp_path):
    confinement = Confinement([tmp_path / "cache" / "recrepro"], [])
    assert list(confinement._granted(str(tmp_path))) == [str(tmp_path)]


def test_a_folder_that_is_both_may_be_read(tmp_path):
    assert not Confinement([tmp_path], [tmp_path]).seals(tmp_path / "x")


def test_links_lead_to_their_own_place(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "raw.csv").write_text("x")
    (tmp_path / "pointer").symlink_to(tmp_path / "data")
    confinement = Confinement([tmp_path / "data"], [])
    assert confinement.seals(tmp_path / "pointer" / "raw.csv")
    assert not any("pointer" in place for place in confinement._granted(str(tmp_path)))


def test_what_is_granted_covers_everything_else(tmp_path):
    for name in ("data/raw.csv", "data/mine/w.npz", "other/a/b.txt", "file.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    confinement = Confinement([tmp_path / "data"], [tmp_path / "data" / "mine"])
    granted = [Path(place) for place in confinement._granted(str(tmp_path))]
    for path in filter(Path.is_file, tmp_path.rglob("*")):
        covered = any(path.is_relative_to(place) for place in granted)
        assert covered != confinement.seals(path), path


def test_nothing_is_confined_where_nothing_is_sealed(tmp_path):
    confinement = Confinement([], [tmp_path])
    confinement.begin()
    assert confinement.means == []
    assert list(tmp_path.iterdir()) == []
