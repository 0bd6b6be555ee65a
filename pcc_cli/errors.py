"""The errors that pcc raises for reasons outside its own code.

    PccError
    ├── InputError        a source file cannot be read, or holds something pcc refuses
    ├── FormatError       a .dcz stream is damaged, truncated or breaks the specification
    ├── UnsupportedError  a codec, version, section or option that this pcc does not know
    ├── ModelError        weights are missing, damaged or not the ones a file needs
    ├── DeviceError       the asked device cannot be used
    └── OutputError       a result cannot be written

A message says what, where and what to do, on one line. Only `cli/app.py`, and for one file of
many `cli/each.py`, catch PccError.
"""


class PccError(Exception):
    """Base of everything that the command line reports as one line and exit code 1."""


class InputError(PccError):
    """A source file cannot be read, or holds something pcc refuses."""


class FormatError(PccError):
    """A .dcz stream is damaged, truncated or breaks `docs/format.md`."""


class UnsupportedError(PccError):
    """A codec, version, section or option that this pcc does not know."""


class ModelError(PccError):
    """Weights are missing, damaged or not the ones a file needs."""


class DeviceError(PccError):
    """The asked device cannot be used."""


class OutputError(PccError):
    """A result cannot be written."""
