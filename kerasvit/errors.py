"""Every error that kerasvit raises on purpose, each with the exit code of the command line."""


class KerasViTError(Exception):
    """Base of the errors that a user can mend: one line that says how.

    `exit_code` is what the command line returns for it.
    """

    exit_code = 70


class UsageError(KerasViTError, ValueError):
    """An argument is wrong: an unknown name, a value out of range, a missing package."""

    exit_code = 2


class InputError(KerasViTError, ValueError):
    """A file given as input is missing, damaged, unsafe, or not what it should be."""

    exit_code = 3


class DownloadError(KerasViTError, OSError):
    """A download failed, or what arrived is not what was published."""

    exit_code = 4


class OutputError(KerasViTError, OSError):
    """A result could not be written; what was there before is untouched."""

    exit_code = 5
