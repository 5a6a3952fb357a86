"""Stands in for every script of the official codes: reads the data as they do, writes their native layout.

It is copied under each script's name into a pretended checkout, and runs in its own process.  A file `mishap` in the
checkout, "<script> <what>", makes it crash, hang, write nothing or write half.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def option(*names, default=None):
    for name in names:
        if name in sys.argv:
            return sys.argv[sys.argv.index(name) + 1]
    return default


def rows(data, split):
    return [row["img_id"] for row in json.loads((data / f"transforms_{split}.json").read_text())["frames"]]


def render(data, folder="gt_imgs", ids=None):
    """The val frames, or those of `ids`, a little brighter: never the ground truth itself."""
    import cv2  # heavy, and most scripts of a run do without
    import numpy as np

    frames = []
    for img_id in rows(data, "val") if ids is None else ids:
        image = cv2.imread(str(data / folder / f"{img_id}.jpg"))
        assert image is not None, f"no {folder}/{img_id}.jpg"
        frames.append(np.clip(image.astype(int) + 5, 0, 255).astype(np.uint8))
    return frames


def video(path, frames):
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 25, frames[0].shape[1::-1])
    for frame in frames:
        writer.write(frame)
    writer.release()


def images(folder, pattern, frames, first):
    import cv2

    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames, first):
        cv2.imwrite(str(folder / pattern.format(number)), frame)


def cross(data):
    """Frames of a cross-driven clip: training poses forward, one for each row of features."""
    import numpy as np

    poses = rows(data, "train")
    heard = len(np.load(option("--aud", "--audio", "--custom_aud")))
    return render(data, ids=[poses[k % len(poses)] for k in range(heard)])


def nerf(data, run, what):
    if "--test" not in sys.argv:
        assert b"(67, 16, 29)" in (data / "aud_ds.npy").read_bytes()[:128]
        (run / "checkpoints").mkdir(parents=True, exist_ok=True)
        (run / "checkpoints" / "ngp.pth").write_bytes(b"weights")
        if "--finetune_lips" in sys.argv:  # its validation while training: the first frames alone
            images(run / "validation", "ngp_ep0003_{:04d}_rgb.png", render(data)[:10], 1)
        return
    if "--aud" in sys.argv:
        video(run / "results" / "ngp_ep0028.mp4", cross(data))
        return
    frames = render(data)[:12] if what == "half" else render(data)
    images(run / "validation", "ngp_ep0028_{:04d}_rgb.png", frames, 1)
    video(run / "results" / "ngp_ep0028.mp4", frames)


def gaussians(data, run, script, what):
    run.mkdir(parents=True, exist_ok=True)
    (data / "points3d.ply").write_text("written beside the data, as TalkingGaussian does")
    if script != "synthesize_fuse.py":
        stage = "fuse" if "fuse" in script else script.removeprefix("train_").removesuffix(".py")
        (run / f"chkpnt_{stage}_latest.pth").write_bytes(b"weights")
        return
    if "--audio" in sys.argv:
        assert "--use_train" in sys.argv
        video(run / "train" / "ours_None" / "renders" / "out.mp4", cross(data))
        return
    frames = render(data)
    if (run / "instag").exists():
        frames = frames[:-1]
    if what == "half":
        frames = frames[:12]
    video(run / "test" / "ours_None" / "renders" / "out.mp4", frames)
    video(run / "test" / "ours_None" / "renders" / "out_face.mp4", [f // 2 for f in frames])


def gaussiantalker(data, run, script):
    assert not (data / "fused.ply").exists(), "No ply file found!"
    if script == "train.py":
        place = run / "point_cloud" / "iteration_10000"
        place.mkdir(parents=True)
        (place / "point_cloud.ply").write_bytes(b"points")
        return
    import cv2

    parsing = [cv2.imread(str(data / "parsing" / f"{i}.png")) for i in rows(data, "val")]
    assert all((p == 0).all(-1).sum() == 0 for p in parsing), "hair is not head in this palette"
    assert (data / "aud_novel.wav").is_file()
    name = run.parts[-2]
    if "--custom_aud" in sys.argv:
        assert Path(option("--custom_wav")).is_file() and "--skip_test" in sys.argv
        video(run / "custom" / "ours_10000" / "renders" / f"{name}_custom_10000iter_renders.mov", cross(data)[:25])
        return
    video(run / "test" / "ours_10000" / "renders" / f"{name}_test_10000iter_renders.mov", render(data))


def dfrf(run):
    options = dict(line.split(" = ") for line in Path(option("--config")).read_text().splitlines())
    data, out = Path(option("--datadir")), run / option("--expname_finetune")
    out.mkdir(parents=True)
    if "--render_only" not in sys.argv:
        assert sorted(p.name for p in data.iterdir()) == ["0"], "every entry is an identity"
        assert Path(option("--ft_path")).is_file()
        (out / "300000_head.tar").write_bytes(b"weights")
        return data / "0"
    assert Path(option("--ft_path")).is_file() and options["test_file"] == "transforms_val.json"
    train = rows(data, "train")
    (run / "references.json").write_text(json.dumps([train[k] for k in (50, 100, 150, 200)]))
    assert "--aud_file" not in sys.argv or not option("--aud_file").endswith("/aud.npy")
    place = out / "renderonly_path_300000"
    images(place, "{:03d}.png", render(data, "com_imgs"), 0)
    video(place / "video.mp4", render(data, "com_imgs"))
    return None


def main():
    script = Path(sys.argv[0]).name
    home = Path(sys.argv[0]).resolve().parent
    mishap = (home / "mishap").read_text().split() if (home / "mishap").exists() else ["", ""]
    what = mishap[1] if mishap[0] == script else ""
    print(f"stand-in for {script}", flush=True)
    with (home / "calls.txt").open("a") as calls:
        calls.write(f"{script} {what}\n")
    if what == "crash":
        print("RuntimeError: CUDA out of memory", file=sys.stderr)
        sys.exit(7)
    if what == "hang":
        (home / "own.pid").write_text(str(os.getpid()))
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (home / "child.pid").write_text(str(child.pid))
        time.sleep(600)
    if what == "nothing":
        return
    data = Path(option("-s", default=sys.argv[1]))
    run = Path(option("-m", "--workspace", "--model_path", "--basedir"))
    if script == "main.py":
        nerf(data, run, what)
    elif script == "run_nerf_deform.py":
        data = dfrf(run)
    elif script in ("train.py", "render.py"):
        gaussiantalker(data, run, script)
    else:
        if option("--type") or option("--N_views"):
            run.mkdir(parents=True, exist_ok=True)
            (run / "instag").touch()
        gaussians(data, run, script, what)
    if data is not None:
        (home / "seen.json").write_text(json.dumps(rows(data, "train")))


if __name__ == "__main__":
    main()
