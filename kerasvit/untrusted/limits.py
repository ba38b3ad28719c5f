"""The limits of every reader: known before a byte is unpacked.

A file says how much it unpacks to, how many entries it has and how large each array is. All three
are compared with the size of the file itself, so that a small file never asks for much memory: a
file of weights holds its numbers, hardly compressed, and nothing else.
"""

from kerasvit.errors import InputError

# Entries of an archive, tensors of a checkpoint, nodes of an HDF5 file. The largest models have
# some thousands.
ENTRIES = 200_000
# What any file may unpack to, and how many times its own size a larger one may. Float weights
# compress to nine tenths, optimiser states full of zeros to a few.
UNPACKED = 64 * 2**20
RATIO = 20


def allowed_bytes(file_size: int, unpacked: int = UNPACKED) -> int:
    """Return how many bytes a file of a size may unpack to.

    Args:
        file_size: in bytes.
        unpacked: what any file may unpack to, however small it is.
    """
    return max(unpacked, RATIO * file_size)


def check_bytes(
    what: str, asked: int, file_size: int, unpacked: int = UNPACKED, name: str = ""
) -> None:
    """Raise `InputError` if a file asks for more than its size allows.

    Args:
        what: the file, as a message calls it.
        asked: bytes that it unpacks to.
        file_size: bytes that it has.
        unpacked: as of `allowed_bytes`.
        name: of what asks for most, if one thing does.
    """
    allowed = allowed_bytes(file_size, unpacked)
    if asked > allowed:
        raise InputError(
            f"{what} asks for more memory than its size explains: {file_size} bytes may unpack to "
            f"{allowed} at most. Received: {asked} bytes{f' in {name!r}' if name else ''}. Save "
            "the weights again, uncompressed, or get the file elsewhere"
        )


def check_entries(what: str, count: int, limit: int = ENTRIES) -> None:
    """Raise `InputError` if a file has more entries than any file of weights.

    Args:
        what: the file, as a message calls it.
        count: its entries.
        limit: how many it may have.
    """
    if count > limit:
        raise InputError(
            f"{what} has more entries than any model: at most {limit}. Received: {count}. Save "
            "the weights alone"
        )
