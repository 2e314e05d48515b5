"""English about faces: word tables, a reader of clauses, captions. See `engine.diffusion.prompts`."""
