@"%THETAHAT_PYTHON%" -m thetahat.cli._wandb_command %*
