"""TalkingGaussian (ECCV 2024), re-implemented."""
