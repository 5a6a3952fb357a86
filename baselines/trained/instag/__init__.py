"""InsTaG (CVPR 2025), re-implemented."""
