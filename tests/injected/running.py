"""Child processes in which faults happen, and what they leave."""

import os
import pathlib
import pickle
import signal
import traceback

# What PyTorch and ONNX Runtime keep in the folder of temporary files.
_OF_OTHERS = ("torchinductor", ".ses")


class Damaged(Exception):
    """A promise was broken."""


def in_child(function, *arguments):
    """Call a function in a child of this process, and return what it returned.

    Raises:
        Damaged: if it raised something, or the child died.
    """
    kind, value = outcome(function, *arguments)
    if kind != "returned":
        raise Damaged(value)
    return value


def outcome(function, *arguments):
    """Call a function in a child of this process.

    Returns:
        "returned" and its value; "raised" and the exception's class, exit code, message and
        traceback; or "died" and the signal's name.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            try:
                answer = "returned", function(*arguments)
            except BaseException as error:
                code = getattr(error, "exit_code", None)
                trace = traceback.format_exc()[-1500:]
                answer = "raised", (type(error).__name__, code, str(error), trace)
            with open(writing, "wb") as pipe:
                pickle.dump(answer, pipe)
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        content = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) or not content:
        name = signal.Signals(os.WTERMSIG(status)).name if status else "nothing said"
        return "died", name
    return pickle.loads(content)


def leftovers(folder, before=None):
    """Return what temporary files and folders lie in a folder.

    Args:
        folder: of outputs; or of temporary files, where nothing may lie but what lay there before.
        before: None for a folder of outputs.
    """
    if before is not None:
        there = [name for name in os.listdir(folder) if not name.startswith(_OF_OTHERS)]
        return sorted(set(there) - set(before))
    return sorted(path.name for path in pathlib.Path(folder).rglob(".kerasvit-*"))


def content(path):
    """Return a file's bytes, or those of all files of a folder by name; None where there is none.

    Journals and temporary files are no outputs.
    """
    path = pathlib.Path(path)
    if path.is_file():
        return path.read_bytes()
    if not path.exists():
        return None
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and not file.name.startswith(".kerasvit-")
    }
