"""The SHA-256 of a file, and what the publisher says of it."""

import pathlib

from kerasvit.digests import SHA256, SHA256_START, file_sha256
from kerasvit.errors import InputError, UsageError


def expected_digest(sha256: str | None, prefix: str | None) -> str | None:
    """Return the digits that a digest must start with, in lower case; None if any will do.

    Args:
        sha256: the published digest, 64 hexadecimal digits in either case.
        prefix: the first 8 or more digits of it.

    Raises:
        UsageError: if one is malformed, or they contradict each other.
    """
    for name, value, pattern, rule in (
        ("sha256", sha256, SHA256, "64 hexadecimal digits"),
        ("sha256_prefix", prefix, SHA256_START, "8 to 64 hexadecimal digits"),
    ):
        if value is not None and not pattern.fullmatch(value.lower()):
            raise UsageError(f"{name} must be {rule}. Received: {value!r}. Copy it from the source")
    if sha256 and prefix and not sha256.lower().startswith(prefix.lower()):
        raise UsageError(
            f"sha256 must start with sha256_prefix. Received: {sha256!r} and {prefix!r}. Pass one"
        )
    expected = sha256 or prefix
    return expected.lower() if expected else None


def checked_digest(path: pathlib.Path, expected: str | None) -> str:
    """Return a file's SHA-256.

    Raises:
        InputError: if it does not start with the expected digits.
    """
    digest = file_sha256(path)
    if expected is not None and not digest.startswith(expected):
        raise InputError(
            f"{str(path)!r} is not the published file: its sha256 must be {expected}. "
            f"Received: {digest}. Get the file again"
        )
    return digest
