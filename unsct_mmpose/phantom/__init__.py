"""Simulated AP pelvic radiographs with known landmarks."""
