"""The errors that a person meets: what was found, what was expected, where, and what to do."""


class Fault(Exception):
    """The check or the work failed; the message is for the person. Exit status 1."""

    exit_code = 1


class Misuse(Fault):
    """The command cannot start as it was called. Exit status 2."""

    exit_code = 2
