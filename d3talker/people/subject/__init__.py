"""One person's folder, which the field's official code reads, too: its layout, its checks, its signals."""
