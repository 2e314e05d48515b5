"""The synthetic reflectance set: identities, expressions, skin and wrinkles, made in batches on the training device."""
