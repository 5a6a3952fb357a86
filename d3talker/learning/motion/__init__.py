"""Training of the audio-to-motion model on many speakers."""
