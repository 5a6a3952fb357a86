"""A trained head as files that other tools read: Gaussians, cameras, mesh and motion, video."""
