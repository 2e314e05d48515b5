"""The synthetic reflectance set: identities, expressions, skin, folds, made in batches on the training device."""

MOST_IDENTITIES, MOST_SEED = 10**6, 2**62
"""People of one population, a kilobyte each before they are painted, and what it may be numbered."""
