"""Tasks: what is predicted, how it is scored, and the LightningModule that trains it."""
