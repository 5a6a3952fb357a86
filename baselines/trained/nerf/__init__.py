"""What the re-implementations of RAD-NeRF and ER-NeRF share."""
