"""Protocol, metrics, records and the harness that fills the tables."""
