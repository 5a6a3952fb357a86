"""Face models: the embedded head, BFM, and what is drawn of them (PNCC, normals, depth)."""
