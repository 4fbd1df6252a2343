"""Programs that ``import wandb``, answered from the local store: no account, no network."""
