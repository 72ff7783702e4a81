"""Torture: files, documents, kills and full disks that a run must survive, and what came of it.

Each stage is bounded, goes on where it stopped, and leaves counts in one json.
"""
