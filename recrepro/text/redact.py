"""Texts without the passwords that are in them."""

import re

MASK = "***"

_IN_ADDRESS = re.compile(r"(?<=://)[^\s/'\"]*@")
VALUES = re.compile(r"(?i)(?:(?:ssl)?password|token|secret|access_key)=([^&]+)")
_OPTION = re.compile(r"(?i)\b((?:ssl)?password|token|secret|access_key)=[^\s&'\"]+")


def redacted(text: str, secrets: frozenset[str] = frozenset()) -> str:
    """Mask the passwords in a text: known ones, those of addresses, and values named so.

    Parameters
    ----------
    text : str
        Any text.
    secrets : frozenset of str
        Known ones; see `known_secrets`.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    text = _IN_ADDRESS.sub(_masked, text)
    return _OPTION.sub(rf"\1={MASK}", text)


def _masked(found: re.Match[str]) -> str:
    """Keep a user's name in front of a password; a name alone may be a token."""
    user, colon, _ = found[0].removesuffix("@").partition(":")
    if not colon:
        return found[0] if len(user) < 20 else f"{MASK}@"
    return f"{user}:{MASK}@"
