"""DFRF, trained here (Shen et al., ECCV 2022)."""
