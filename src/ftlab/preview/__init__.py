"""Preview of a data set before training: `collect` gathers its facts, `page` prints them."""
