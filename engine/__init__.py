"""ExpDiff Studio's engine: values, formats, canonical face space, diffusion model and renderer. No Qt anywhere.

Importing this package loads numpy only; torch lives in `engine.diffusion` and `engine.synth`, moderngl in
`engine.render`.
"""
