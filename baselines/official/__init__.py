"""Official codes, run in their own environments within a budget."""
