"""``wandb.errors``: the exceptions that programs catch."""

from thetahat.wandb._run import Error as Error, UsageError as UsageError


class CommError(Error):
    """Something that was asked for is not in the store."""


class UnknownProjectError(CommError, ValueError):
    """The store has no such project; W&B raises a ValueError."""


class AuthenticationError(CommError):
    """Never raised: there are no accounts."""


class ConfigError(Error):
    """Never raised: a config may change."""
