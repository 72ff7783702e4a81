"""Output formats of a run: one class in one file of this folder each, and nothing else to touch."""
