"""A person's data, whatever method learns from it.

Each folder knows those before it in this list, and none of the others: media, head, audio, subject, motion, preparation, synthetic.
"""
