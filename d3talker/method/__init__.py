"""D³-Talker, Section 3 of the paper: control signals, two deformation fields, refiner, and the two stages of training."""
