"""Models and a tuner that look for held-out data wherever they reach; a plugin for `test_seal`.

What is looked for lies masked in files outside of workspace and working folder, so that a search
cannot find what it searches for in its own hands.
"""

import ctypes
import gc
import hashlib
import io
import json
import os
import sys
import zipfile
from pathlib import Path
from types import FrameType
from typing import ClassVar

import numpy as np

import recrepro.run.cell
from recrepro.errors import SealError
from recrepro.model import ModelConfig, Recommender
from recrepro.run.job import Job
from recrepro.splits.keys import read_locked

MODELS = {name: f"hostile:{name.capitalize()}" for name in ("spy", "forger", "latecomer")}
MASK = 0x5EA1


class Wanted:
    """The pairs of one part, masked."""

    def __init__(self, part, seed):
        stored = np.load(Path(os.environ["HOSTILE"]) / f"{part}-{seed}.npy")
        self.n_items, self.masked = int(stored[0]), stored[1:]

    def in_pairs(self, users, items):
        codes = np.asarray(users, np.int64) * self.n_items + np.asarray(items, np.int64)
        return bool(np.isin(self.masked ^ MASK, codes).mean() > 0.5)

    def in_bytes(self, content):
        items = (self.masked[:16] ^ MASK) % self.n_items
        return any(items.astype(kind).tobytes() in content for kind in ("<i4", "<i8"))

    def in_object(self, thing):
        if isinstance(thing, (bytes, bytearray)):
            return self.in_bytes(thing)
        if isinstance(thing, np.ndarray):
            if thing.dtype.kind not in "iub" or thing.size < 16:
                return False
            codes = bool(np.isin(self.masked ^ MASK, thing).mean() > 0.9)
            return codes or self.in_bytes(thing.tobytes())
        names = getattr(type(thing), "__name__", "")
        if names == "Interactions":
            return self.in_pairs(thing.users, thing.items)
        if names.startswith(("csr_", "csc_", "coo_")):
            matrix = thing.tocoo()
            return self.in_pairs(matrix.coords[0], matrix.coords[1])
        return False

    def in_file(self, path):
        content = contents(path)
        if content is None or self.in_bytes(content):
            return content is not None
        if not zipfile.is_zipfile(io.BytesIO(content)):
            return False
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return self.in_arrays(dict(arrays))

    def in_arrays(self, arrays):
        if any(map(self.in_object, arrays.values())):
            return True
        parts = [name.removesuffix("users") for name in arrays if name.endswith("users")]
        return any(self.in_pairs(arrays[f"{p}users"], arrays[f"{p}items"]) for p in parts)


def contents(path):
    """Read a file past Python, whose hook would make us fail; None if the system refuses."""
    descriptor = ctypes.CDLL(None).open(os.fsencode(path), os.O_RDONLY)
    if descriptor < 0:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def reachable(roots):
    """Everything that can be walked to: attributes, items, closures, locals of frames."""
    seen, waiting = {}, list(roots)
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing  # kept alive: an id must not be given to another object
        waiting += gc.get_referents(thing)
        if isinstance(thing, FrameType):
            waiting += [thing.f_back, *thing.f_locals.values()]
    return list(seen.values())


def frames():
    """The frames of all threads, and of those that called us."""
    found = list(sys._current_frames().values())
    frame = sys._getframe(1)
    while frame is not None:
        found.append(frame)
        frame = frame.f_back
    return found


def local(name):
    """The first local variable of that name, up the stack."""
    return next(f.f_locals[name] for f in reversed(frames()) if name in f.f_locals)


def is_first_look():
    """Whether the first look at the model called us."""
    return any(f.f_globals.get("__name__") == "recrepro.run.first_look" for f in frames())


def report(**found):
    with (Path(os.environ["HOSTILE"]) / "findings.jsonl").open("a") as file:
        file.write(json.dumps(found) + "\n")


def unlocked(job, things):
    """What the files of the split give away to every key that can be found or guessed."""
    texts = {t for t in things if isinstance(t, str) and len(t) == 64}
    keys = {t for t in things if isinstance(t, bytes) and len(t) == 32}
    for text in texts:
        if set(text) <= set("0123456789abcdef"):
            keys.add(bytes.fromhex(text))
    keys |= {hashlib.sha256(key).digest() for key in keys}
    opened = {}
    for path in sorted(Path(job.split_folder).glob("*.bin")):
        for key in keys:
            try:
                opened[path.name] = read_locked(path, key)
            except SealError:
                continue
    return opened


def search(place, roots):
    """Try every way, for the test part and, as a control, for the training part."""
    stack = frames()
    job = next(f.f_locals["job"] for f in stack if isinstance(f.f_locals.get("job"), Job))
    walked = reachable([*roots, *stack])
    collected = reachable(gc.get_objects())
    opened = unlocked(job, walked + collected)
    files = [p for p in [*Path(job.workspace).rglob("*"), *Path.cwd().rglob("*")] if p.is_file()]
    for part in ("train", "test"):
        wanted = Wanted(part, job.name.seed)
        report(
            place=place,
            part=part,
            seed=job.name.seed,
            walk=any(map(wanted.in_object, walked)),
            collector=any(map(wanted.in_object, collected)),
            files=sorted({p.name for p in files if wanted.in_file(p)}),
            unlocked=sorted(n for n, arrays in opened.items() if wanted.in_arrays(arrays)),
            searched=sorted({p.name for p in files}),
            refused=sorted({p.name for p in files if contents(p) is None}),
        )


class Popular(Recommender):
    class Config(ModelConfig):
        pass

    def fit(self, train, rng):
        self.counts = train.item_counts.astype(np.float32)
        return self

    def score(self, users, histories):
        return np.tile(self.counts, (len(users), 1))


class Spy(Popular):
    seen: ClassVar[set[str]] = set()

    def search(self, place, *roots):
        place = "first look" if is_first_look() else place
        if place not in Spy.seen:
            Spy.seen.add(place)
            search(place, [self, *roots])

    def fit(self, train, rng):
        self.search("fit", train, rng)
        return super().fit(train, rng)

    def score(self, users, histories):
        self.search("score", users, histories)
        return super().score(users, histories)


def forge():
    """Ask for the key as the harness does."""
    try:
        key = local("unseal")()
    except SealError as error:
        report(forged="refused", reason=str(error))
    else:
        report(forged="answered", bytes=len(key))


class Forger(Popular):
    def fit(self, train, rng):
        forge()
        return super().fit(train, rng)


class Latecomer(Popular):
    fits = 0

    def fit(self, train, rng):
        Latecomer.fits += not is_first_look()
        if Latecomer.fits == 2:  # the first is the trial, this one the final fit
            forge()
        return super().fit(train, rng)


class SpyingTuner(recrepro.run.cell.Tuner):
    def run(self, *args):
        if self._model is Spy:
            search("tuner", [self, *args])
        return super().run(*args)


recrepro.run.cell.Tuner = SpyingTuner
