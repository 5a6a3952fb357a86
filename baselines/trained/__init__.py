"""Methods of the comparison that are trained in this repository, beside each other."""
