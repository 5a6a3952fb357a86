"""One file a method: what is published about it, how its outputs are read, how it is run or trained."""
