"""The two training stages (paper 3.5): the loops stand here, outside the model."""
