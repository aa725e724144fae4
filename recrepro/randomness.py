"""The only maker of random generators: one root seed, named children.

A child depends on its root and its names alone, never on how many other children were made
before it, so that neither the order of the work nor the number of workers can change a number.
"""

import hashlib

import numpy as np


def seed_sequence(root: int, *names: str | int) -> np.random.SeedSequence:
    """Derive the seed sequence called `names` from a root seed.

    Parameters
    ----------
    root : int
        The seed that the experiment file states.
    *names : str or int
        Path of the child, such as ``("trial", 3, "fit")``.
    """
    path = "\x1f".join(str(name) for name in names).encode()
    digest = hashlib.sha256(path).digest()
    return np.random.SeedSequence([root, *np.frombuffer(digest, dtype=np.uint32).tolist()])


def generator(root: int, *names: str | int) -> np.random.Generator:
    """Make the generator called `names` below a root seed (see `seed_sequence`)."""
    return np.random.default_rng(seed_sequence(root, *names))


def integer_seed(root: int, *names: str | int) -> int:
    """Derive a 32-bit seed for a library that takes integers only."""
    return int(seed_sequence(root, *names).generate_state(1)[0])
