"""One person's data: the folder that the field's official code reads, and how to make it."""
