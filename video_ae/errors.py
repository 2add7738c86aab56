"""The one exception that a user sees as a sentence."""


class UserError(ValueError):
    """Bad input: one sentence that says what was given, what was expected and what to do.

    The command line prints it without a traceback and leaves with exit code 2.

    Args:
        message: the sentence. It names no options of the command line, since a notebook has none.
        argument: the Python argument whose value would help, such as `overwrite`; the command line adds the option of
            that name to the sentence.
    """

    def __init__(self, message: str, argument: str | None = None) -> None:
        super().__init__(message)
        self.argument = argument
