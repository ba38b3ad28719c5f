"""What a pickle refers to, found by disassembling it: nothing of it is ever run."""

import io
import itertools
import pickletools
import re
from collections.abc import Iterator
from typing import Any

# torch.save writes five pickles in its old format; everything after them is tensor data.
_MAX_PICKLES = 5

# Sixty a tensor.
_MAX_OPCODES = 2_000_000
_INTEGERS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"}

_PUTS = {"PUT", "BINPUT", "LONG_BINPUT"}
_GETS = {"GET", "BINGET", "LONG_BINGET"}
_MEMO = _PUTS | {"MEMOIZE"}

# Names that any torch state dict refers to; the rest of what a refused file names is the reason.
_USUAL = re.compile(
    r"collections\.(OrderedDict|Counter)|argparse\.Namespace|_codecs\.encode"
    r"|(builtins|__builtin__)\.(set|bytearray|complex)"
    r"|torch\.(_utils|_tensor)\._rebuild\w+|torch\.storage\.\w+|torch\.nn\.parameter\.Parameter"
    r"|torch\.serialization\._get_layout|torch\.(cuda\.)?(sparse\.)?[A-Z]\w+"
    r"|torch\.(b?float|u?int|complex|q)\w+|torch\.(bool|device|strided)"
)


def pickle_globals(data: bytes) -> list[str]:
    """Return the dotted names that the pickles at the start of `data` import, each once, in order.

    The list serves messages only: it is as complete as the bytes can be read, and a name built
    while unpickling is not in it.
    """
    names: dict[str, None] = {}
    for name in _imports(data):
        names.setdefault(name)
    return list(names)


def unusual_globals(data: bytes) -> list[str]:
    """Return `pickle_globals` without what every file of `torch.save` refers to."""
    return [name for name in pickle_globals(data) if not _USUAL.fullmatch(name)]


def check_cost(data: bytes, allowed: int) -> None:
    """Raise `ValueError` if the pickles at the start of `data` cost more than any state dict.

    Args:
        data: the bytes.
        allowed: bytes of memory that the whole file may ask for.
    """
    stream, left = io.BytesIO(data), _MAX_OPCODES
    has_buffers = b"bytearray" in data
    for _ in range(_MAX_PICKLES):
        try:
            for opcode, argument, _ in pickletools.genops(stream):
                left -= 1
                if left < 0:
                    raise _TooMuch(f"a pickle of more than {_MAX_OPCODES} steps")
                # Of all that a state dict may call, it alone makes as many bytes as it is told.
                is_length = has_buffers and opcode.name in _INTEGERS
                if is_length and isinstance(argument, int) and argument > allowed:
                    raise _TooMuch(f"a buffer of {str(argument)[:30]} bytes")
        except _TooMuch as error:
            raise ValueError(str(error)) from None
        except Exception:  # not a pickle from here on
            return


class _TooMuch(Exception):
    """A pickle that costs too much."""


def is_pickle(data: bytes) -> bool:
    """Whether `data` is one pickle of the text protocols from the first byte to the last."""
    stream = io.BytesIO(data)
    try:
        for _ in pickletools.genops(stream):
            pass
    except Exception:
        return False
    return stream.tell() == len(data)


def top_class(data: bytes) -> str | None:
    """Return the class of the object that a pickle holds on top, or None for a plain container."""
    try:
        ops = [
            (opcode.name, argument)
            for opcode, argument, _ in itertools.islice(pickletools.genops(data), 12)
            if opcode.name not in _MEMO | {"PROTO", "FRAME"}
        ]
    except Exception:
        return None
    if [name for name, _ in ops[:3]] != ["GLOBAL", "EMPTY_TUPLE", "NEWOBJ"]:
        return None
    name = str(ops[0][1]).replace(" ", ".")
    return None if _USUAL.fullmatch(name) else name


def _imports(data: bytes) -> Iterator[str]:
    stream = io.BytesIO(data)
    for _ in range(_MAX_PICKLES):
        try:
            yield from _imports_of_one(stream)
        except Exception:  # not a pickle from here on: what was found so far is the answer
            return


def _imports_of_one(stream: io.BytesIO) -> Iterator[str]:
    memo: dict[Any, str | None] = {}
    strings: list[str | None] = []
    last: str | None = None
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".")
        elif opcode.name == "STACK_GLOBAL":
            yield ".".join(name or "?" for name in strings[-2:])
        elif opcode.name in _MEMO:
            memo[len(memo) if argument is None else argument] = last
            continue
        last = memo.get(argument) if opcode.name in _GETS else argument
        last = last if isinstance(last, str) else None
        if last is not None:
            strings.append(last)
