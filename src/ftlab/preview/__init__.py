"""A look at a data set before any training: `facts` finds out what there is to see, `page` shows it."""
