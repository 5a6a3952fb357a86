"""D³-Talker: few-shot 3D talking heads by dual-branch decoupled deformation of Gaussians.

Letters used throughout: N Gaussians, T frames, F features, H and W pixels, V mesh vertices, K landmarks (68).
Units: pixels, seconds, frames at 25 fps, world units (one metre, roughly; the head's centre is the origin).
Colours lie in [0, 1], RGB, channel last.  Cameras follow OpenCV: x right, y down, z forward.
"""

from d3talker.version import __version__

__all__ = ["__version__"]
