import pytest

from recrepro.errors import first_line
from recrepro.text.words import count, duration, size


@pytest.mark.parametrize(
    ("n", "written"), [(0, "0 trials"), (1, "1 trial"), (2, "2 trials"), (1234, "1,234 trials")]
)
def test_a_noun_has_the_number_of_its_count(n, written):
    assert count(n, "trial") == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(4.6, "5 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (11_400, "3 h 10 min")],
)
def test_a_duration_has_two_units_at_most(seconds, written):
    assert duration(seconds) == written


@pytest.mark.parametrize(
    ("n_bytes", "written"),
    [
        (0, "0.0 kB"),
        (3_210, "3.2 kB"),
        (2_340_000, "2.3 MB"),
        (100_000_000, "0.1 GB"),
        (1_250_000_000, "1.2 GB"),
        (1_234_000_000_000, "1,234.0 GB"),
    ],
)
def test_a_size_has_the_unit_that_reads_best(n_bytes, written):
    assert size(n_bytes) == written


@pytest.mark.parametrize(
    ("message", "line"), [("one", "one"), ("\n one\nand more", "one"), ("", "")]
)
def test_the_first_line_of_a_message_is_returned(message, line):
    assert first_line(ValueError(message)) == line
