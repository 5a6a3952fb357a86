"""Ground truth: the test frames themselves, the first row of every table."""

from __future__ import annotations

from baselines.spec import MethodSpec, table_1, table_3, table_4

SPEC = MethodSpec(
    name="ground-truth",
    title="Ground Truth",
    kind="floor",
    status="the bound of every metric; its Sync-C/D tell what the clip and the cropping allow",
    published=table_1(None, 1, 0, 0, 8.685, 6.852, None, None)
    + table_3(a=(8.456, 6.841), b=(8.809, 5.757))
    + table_4(full=(None, 1, 0, 8.685)),
)
