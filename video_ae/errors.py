"""The one exception that a user sees as a sentence."""


class UserError(ValueError):
    """Bad input: one sentence that says what was given, what was expected and what to do.

    The command line prints it without a traceback and leaves with exit code 2.
    """
