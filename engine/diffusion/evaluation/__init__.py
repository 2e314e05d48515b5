"""What `expdiff evaluate` measures, against what, and how it is told. Nothing here is used to train or to generate."""
