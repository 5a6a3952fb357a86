"""The output tree that TalkingGaussian and InsTaG share: {test,train}/ours_None/{renders,gt}/out.mp4 (protocol 2.1)."""

from __future__ import annotations

from pathlib import Path

from baselines.adapter import Native, Setting
from baselines.outputs.locating import matches, need_folder, nothing
from baselines.spec import MethodSpec
from d3talker.errors import UserError


def locate(spec: MethodSpec, folder: Path, setting: Setting, *, drops: int) -> list[Native]:
    """The composite out.mp4, never out_face.mp4 or out_mouth.mp4, and the method's own ground truth beside it.

    drops: frames that the code leaves out at the end of val.  A cross-driven clip lies under train/ (--use_train), or,
    without that option, under test/.
    """
    need_folder(folder)
    splits = ("test",) if setting == "self" else ("train", "test")
    tried = (matches(folder, f"{split}/ours_*/renders/out.mp4") for split in splits)
    found = next((paths for paths in tried if paths), [])
    if not found:
        parts = matches(folder, "*/ours_*/renders/out_face.mp4")
        hint = ", only out_face.mp4, the face without mouth and torso" if parts else ""
        raise nothing(spec.title, folder, spec.outputs, hint)
    if len(found) > 1:
        names = ", ".join(str(p.relative_to(folder)) for p in found)
        raise UserError(f"{folder} holds several renderings ({names}); give the folder of one of them")
    truth = found[0].parent.parent / "gt" / "out.mp4"
    known = truth if setting == "self" and truth.is_file() else None  # meaningless when cross-driven
    return [Native(found[0], truth=known, drops=drops)]
