"""ExpDiff Studio's engine: values, formats, canonical face space, diffusion model and renderer. No Qt anywhere.

Importing this package loads numpy only; torch lives in `engine.diffusion` and `engine.synth`, moderngl in
`engine.render`.
"""

import os

# Threads of torch that wait for each other sleep instead of spinning, which beside other work costs several times what
# it gains alone. Read when torch's OpenMP is loaded, so it has to be said before; what a user has set stays.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
