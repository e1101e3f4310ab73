"""Errors that are meant to be read by people."""


class PipelineError(Exception):
    """A user error; the message says what is wrong, where, and what to do.

    A command that ends with it prints the message alone, without a traceback, and exits
    with `exit_code`.
    """

    exit_code = 1


class ParamsError(PipelineError):
    """`params.yaml` cannot be used; the message has one line for each fault."""

    exit_code = 2


class DataError(PipelineError):
    """A data file is missing, damaged or does not fit the params."""
