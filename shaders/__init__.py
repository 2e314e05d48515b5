"""GLSL text; `engine.render.shaders` loads it."""
