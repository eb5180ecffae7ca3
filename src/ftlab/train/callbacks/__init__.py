"""Lightning callbacks of training: cost, checkpoints, time budget, checks and progress."""
