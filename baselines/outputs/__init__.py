"""Outputs of other codes: found, aligned with the test frames, checked, and made a predictions folder."""
