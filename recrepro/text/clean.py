"""Texts without the characters that steer a terminal, or turn the order of what is read."""

CONTROLS = (
    *(code for code in range(0xA0) if not (0x20 <= code < 0x7F or chr(code) in "\n\t")),
    *(0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x2070)),  # direction of text
    *(0x2028, 0x2029),  # line breaks that few programs know as such
    *(0xFFFE, 0xFFFF, *range(0xD800, 0xE000)),  # no characters at all, but halves of some
)
"""Code points that no text needs: control characters but line feed and tab, and the like."""

_REPLACED = dict.fromkeys(CONTROLS, "\N{REPLACEMENT CHARACTER}")


def clean(text: str) -> str:
    """Replace control characters, those that set the direction of text, and halves of characters.

    Line feeds and tabs stay. All that is printed, and all texts of tables, pages and bundles, come
    through here, because names and messages may be a stranger's.

    Parameters
    ----------
    text : str
        Any text; of markupsafe's ``Markup``, the result is one too.
    """
    return text.translate(_REPLACED)


def one_line(text: str) -> str:
    """Return a clean text on one line: with one blank for each run of white space."""
    return " ".join(clean(text).split())


def control_in(text: str) -> str | None:
    """Return the code of the first character that `clean` replaces, such as ``U+001B``, if any."""
    return next((f"U+{ord(c):04X}" for c in text if ord(c) in _REPLACED), None)
