"""Facial motion from sound: what a trained model hears, predicts, and is calibrated to."""
