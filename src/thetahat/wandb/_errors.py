"""``wandb.errors``: the exceptions that programs catch."""

from thetahat.wandb._run import Error as Error, UsageError as UsageError


class CommError(Error):
    """Something that was asked for is not in the store."""


class AuthenticationError(CommError):
    """Never raised: there are no accounts."""


class ConfigError(Error):
    """Never raised: a config may change."""
