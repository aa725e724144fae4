"""Control characters are replaced in all that is printed or written for people."""

import sys

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from support.texts import cleaned, is_steering

from recrepro.text.clean import clean, control_in, one_line
from recrepro.text.templates import render


def test_every_character_that_unicode_calls_a_control_is_replaced_and_no_other():
    every = list(map(chr, range(sys.maxunicode + 1)))
    assert [c for c in every if clean(c) != c] == [c for c in every if is_steering(c)]
    assert clean("a\x1bb\n\tc\u200d") == "a\ufffdb\n\tc\u200d"


@given(st.text())
def test_a_clean_text_has_no_control_and_keeps_the_rest(text):
    assert clean(text) == cleaned(text)
    assert control_in(clean(text)) is None
    first = next((c for c in text if is_steering(c)), None)
    assert control_in(text) == (None if first is None else f"U+{ord(first):04X}")


def test_one_line_has_single_blanks():
    assert one_line(" a\n\n b\tc\x07") == "a b c\ufffd"


def test_markup_stays_markup():
    assert clean(Markup("<b>\x9b</b>")) == Markup("<b>\ufffd</b>")
    assert isinstance(clean(Markup("\x9b")), Markup)


def test_templates_show_clean_texts(tmp_path):
    template = tmp_path / "a.html.j2"
    template.write_text("{{ a }}{{ b }}{{ c }}")
    assert (
        render(template, a="<\x1b>", b=Markup("<i>\u202e"), c=1.5) == "&lt;\ufffd&gt;<i>\ufffd1.5"
    )
