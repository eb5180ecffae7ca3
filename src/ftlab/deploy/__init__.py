"""What comes after a run: put its model back together, answer with it, hand it to other libraries."""
