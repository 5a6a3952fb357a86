"""What draws, whatever method asks for it: hash-grid encoder, rasteriser, Gaussians and their density control."""
