"""What several of the re-implementations share, and D³-Talker does not."""
