"""Everything that can go wrong in a way that a person can mend.

::

    RtclassifyError            exit code 1
    ├── UsageError                      2   the command line asks for something impossible
    ├── ConfigError                     3   rtclassify.toml or a setting is wrong
    ├── SourceError                     4   audio cannot be had: no device, no file, not audio
    ├── BundleError                     5   a model bundle is missing, damaged or foreign
    ├── SinkError                       6   labels cannot be delivered: address in use, disk full
    ├── DataError                       7   training data cannot be used
    ├── DependencyError                 8   an optional package or system library is missing
    ├── JournalError                    9   the journal was changed, or is damaged
    └── WorkerError                    10   processes that share the work cannot be had, or die

Each message is one sentence that says what was found, what was wanted and what to do. The
command line prints it without a traceback and exits with the class's ``exit_code``; systemd and
scripts can tell the cases apart. Exit code 0 is success, 130 is Ctrl-C in a command that had not
finished. Anything else that escapes is a defect of the program and keeps its traceback.
"""

from __future__ import annotations


class RtclassifyError(Exception):
    """The root of the tree; never raised itself."""

    exit_code = 1


class UsageError(RtclassifyError):
    """The command line asks for something that cannot be done."""

    exit_code = 2


class ConfigError(RtclassifyError):
    """A setting is unknown or has a value that cannot be used."""

    exit_code = 3


class SourceError(RtclassifyError):
    """Audio cannot be had from where it was asked for."""

    exit_code = 4


class BundleError(RtclassifyError):
    """A model bundle is missing, damaged, or not one that this version understands."""

    exit_code = 5


class SinkError(RtclassifyError):
    """Labels cannot be delivered to where they were asked to go."""

    exit_code = 6


class DataError(RtclassifyError):
    """Training data cannot be found, read or used."""

    exit_code = 7


class DependencyError(RtclassifyError):
    """An optional package or a system library is not installed."""

    exit_code = 8


class JournalError(RtclassifyError):
    """The journal is not what was written to it."""

    exit_code = 9


class WorkerError(RtclassifyError):
    """Processes that were to share the work cannot be had, or die."""

    exit_code = 10
