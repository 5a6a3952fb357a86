"""GaussianTalker (ACM MM 2024), re-implemented."""
