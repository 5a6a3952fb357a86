"""The methods of the comparison, one file each: what is published about them, and how their outputs are read."""
