"""Errors a user can cause. Each says what is wrong and what to do about it, in one line.

Invariants of our own code are `assert`s, not these.
"""


class SmallcoderError(ValueError):
    """A problem the user can mend. The command line prints it as one line and exits with 1."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message} -> {remedy}")
        self.message = message
        self.remedy = remedy

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        """So that it crosses from a worker process whole."""
        return type(self), (self.message, self.remedy)


class RecipeError(SmallcoderError):
    """The recipe does not say something that can be run."""


class InputError(SmallcoderError):
    """A file or folder that was named is missing, truncated or of the wrong kind."""


class EmptyError(SmallcoderError):
    """Nothing is left to work on."""


class StaleError(SmallcoderError):
    """A finished stage was made by other settings or inputs than those asked for now."""


class LockedError(SmallcoderError):
    """Another process is working on the same folder."""


class StorageError(SmallcoderError):
    """The disk refused a write."""


class ToolError(SmallcoderError):
    """Something optional that this step needs is not installed."""


class TrainingError(SmallcoderError):
    """Training cannot go on: its losses are no numbers any more, or memory has run out."""
