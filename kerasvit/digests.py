"""SHA-256 digests: of a file, and as they are written down."""

import hashlib
import os
import re

# In lower case: all of a digest, and its first digits or all of it.
SHA256 = re.compile(r"[0-9a-f]{64}")
SHA256_START = re.compile(r"[0-9a-f]{8,64}")


def file_sha256(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file's content as 64 lower-case hexadecimal digits.

    Raises:
        OSError: if the file can't be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
