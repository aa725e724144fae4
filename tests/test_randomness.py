"""Named generators: fixed by root and names alone."""

from hypothesis import given
from hypothesis import strategies as st

from recrepro.randomness import generator, integer_seed, seed_sequence

NAMES = st.lists(st.text("abc123", min_size=1, max_size=4) | st.integers(0, 99), max_size=4)


def test_the_streams_of_this_version_are_as_they_were():
    # Pinned: every recorded result hangs on these: if they move, HARNESS_VERSION has to.
    assert integer_seed(1, "trial", 3, "fit") == 3366569699
    assert generator(7, "split").integers(1000, size=4).tolist() == [719, 13, 518, 182]


@given(st.integers(0, 2**70), NAMES)
def test_the_same_names_give_the_same_stream(root, names):
    first, second = (generator(root, *names).random(3).tolist() for _ in range(2))
    assert first == second


@given(st.integers(0, 2**70), st.lists(NAMES.map(lambda n: tuple(map(str, n))), unique=True))
def test_other_names_give_other_streams(root, paths):
    states = {tuple(seed_sequence(root, *path).generate_state(4)) for path in paths}
    assert len(states) == len(paths)


@given(st.lists(st.integers(0, 2**40), unique=True, max_size=20))
def test_other_roots_give_other_streams(roots):
    assert len({tuple(seed_sequence(r, "a").generate_state(4)) for r in roots}) == len(roots)


def test_a_child_does_not_depend_on_how_many_were_made_before():
    alone = generator(5, "b").random()
    generator(5, "a").random(100)
    assert generator(5, "b").random() == alone


@given(st.integers(0, 2**40), NAMES)
def test_integer_seeds_fit_libraries_that_take_32_bits(root, names):
    assert 0 <= integer_seed(root, *names) < 2**32
