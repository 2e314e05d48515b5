"""The synthetic reflectance set: identities, expressions, skin, folds, made in batches on the training device."""
