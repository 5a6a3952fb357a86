"""ER-NeRF, trained here (Li et al., ICCV 2023)."""
