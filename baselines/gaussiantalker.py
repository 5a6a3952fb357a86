"""GaussianTalker (Cho et al.): what is published about it, and how its outputs are read."""

from __future__ import annotations

from baselines.spec import MINUTE, MethodSpec, table_1, table_3

SPEC = MethodSpec(
    name="gaussiantalker",
    title="GaussianTalker",
    kind="3DGS",
    paper="GaussianTalker: Real-Time Talking Head Synthesis with 3D Gaussian Splatting",
    year="ACM MM'24",
    url="https://github.com/cvlab-kaist/GaussianTalker",
    commit="250fb93",
    lossless=False,
    outputs="test/ours_*/renders/*_renders.mov",
    status="outputs are read; its own code has not been run by us",
    published=table_1(30.895, 0.921, 0.039, 3.793, 2.086, 12.523, 53 * MINUTE, 62)
    + table_3(a=(1.860, 13.227), b=(1.501, 13.558)),
)
