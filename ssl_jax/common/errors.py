"""One line for whatever is wrong outside the program."""

import errno
import logging
import sys

REMEDIES = {  # by name: not every system has every number
    "ENOSPC": "the disk is full: free some space and run the same command again",
    "EDQUOT": "the disk quota is used up: free some space and run the same command again",
    "EACCES": "permission denied: choose a folder you may write to, or change its rights",
    "EPERM": "operation not permitted: choose a folder you may write to",
    "EROFS": "the file system is read-only: choose another folder",
    "ENOENT": "no such file or folder: check the path",
    "EISDIR": "is a folder where a file is needed: check the path",
    "ENOTDIR": "a file stands where a folder is needed: check the path",
    "EEXIST": "a file stands where a folder is needed: move it away",
}


class InputError(ValueError):
    """Something outside the program is wrong; the message names it and the remedy in one line.

    A ValueError, so that callers of the package may catch either.
    """


def os_error_message(error: OSError) -> str:
    """One line for an operating system error: the file, what is wrong, what to do."""
    name = error.filename if error.filename is not None else "input/output"
    # a library's own errors have no number, and some have no text either
    reason = error.strerror or " ".join(map(str, error.args)) or type(error).__name__
    code = errno.errorcode.get(error.errno or 0, "")
    return f"{name}: {REMEDIES.get(code, reason)}"


def error_reason(error: Exception | str) -> str:
    """The first line of what an error says, or its kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def print_error(message: str) -> None:
    """Print a message to stderr as one line, whatever --quiet says, and log it."""
    line = f"ssl_jax: {' '.join(message.split())}"
    logging.getLogger("ssl_jax").info(line)
    print(line, file=sys.stderr, flush=True)
