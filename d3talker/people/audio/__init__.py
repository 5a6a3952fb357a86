"""Sound to per-frame features."""
