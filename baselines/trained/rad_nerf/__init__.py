"""RAD-NeRF, trained here (Tang et al. 2022)."""
