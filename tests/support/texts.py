"""What Unicode's own tables say of characters."""

import unicodedata

TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
MARKS = {"LEFT-TO-RIGHT MARK", "RIGHT-TO-LEFT MARK", "ARABIC LETTER MARK"}


def is_steering(character):
    """Say whether a character controls a terminal, the order of text, or is none."""
    return character not in "\n\t" and (
        unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(character) in TURNING
        or unicodedata.name(character, "") in MARKS
        or 0x206A <= ord(character) <= 0x206F  # deprecated formatting
        or ord(character) in {0xFFFE, 0xFFFF}
    )


def cleaned(text, mark="\ufffd"):
    return "".join(mark if is_steering(c) else c for c in text)
