"""Videos, sounds and predictions folders, in and out."""
