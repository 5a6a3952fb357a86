"""Talking people out of thin air: speech, motion, looks and pictures of the embedded head."""
