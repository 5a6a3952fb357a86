"""The Facial Motion prior: 3D face models, PNCC, fitting and audio-to-motion."""
