"""A volume renderer for NeRFs of heads: rays, box, occupancy grid, marching, compositing; torch anywhere, numba on the CPU."""

from d3talker.graphics.volume.compositing import Composite, composite
from d3talker.graphics.volume.marching import Samples, march
from d3talker.graphics.volume.occupancy import OccupancyGrid
from d3talker.graphics.volume.rays import Rays, camera_rays, pixel_grid
from d3talker.graphics.volume.tracing import trace

__all__ = ["Composite", "OccupancyGrid", "Rays", "Samples", "camera_rays", "composite", "march", "pixel_grid", "trace"]
