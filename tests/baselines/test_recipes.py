"""`d3talker run` on stand-ins for the official codes: budget, data as each code reads it, mishaps, resumption."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from baselines.official.options import RunConfig
from baselines.official.running import run
from baselines.official.work import commit_of
from baselines.recipe import Recipe
from baselines.registry import Registry
from baselines.sample import sample_subject
from d3talker.errors import UserError
from d3talker.people.media.predictions import Predictions
from d3talker.people.media.video import read_frames, write_wav
from d3talker.people.subject.layout import Subject, write_image, write_landmarks

RECIPES = [spec.name for spec in Registry() if isinstance(Registry().adapter(spec.name).run, Recipe)]
SCRIPTS = (
    "main.py", "train_mouth.py", "train_face.py", "train_fuse.py", "train_fuse_con.py", "synthesize_fuse.py",
    "train.py", "render.py", "NeRFs/run_nerf_deform.py",
)
BUDGET = 1.0


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> Subject:
    """A tiny subject with everything that any of the codes reads."""
    subject = sample_subject(tmp_path_factory.mktemp("full") / "tiny", train=40, val=27)
    root, rng = subject.root, np.random.default_rng(0)
    write_image(root / "bc.jpg", np.full((48, 64, 3), 120, np.uint8))
    (root / "teeth_mask").mkdir()
    for kind in ("normal", "depth"):
        (root / "sapiens" / kind / "sapiens_0.3b").mkdir(parents=True)
        np.save(root / "sapiens" / kind / "sapiens_0.3b" / "0.npy", np.zeros(1))
    for row in subject.frames("train") + subject.frames("val"):
        write_image(root / "ori_imgs" / f"{row.img_id}.jpg", subject.gt(row.img_id))
        write_landmarks(root / "ori_imgs" / f"{row.img_id}.lms", rng.uniform((10, 8), (54, 40), (68, 2)))
        write_image(root / "torso_imgs" / f"{row.img_id}.png", np.full((48, 64, 4), 200, np.uint8))
        np.save(root / "teeth_mask" / f"{row.img_id}.npy", np.zeros((48, 64), bool))
    (root / "au.csv").write_text("frame, AU45_r\n1, 0.0\n")
    (root / "track_params.pt").write_bytes(b"never opened here")
    (root / "fused.ply").write_text("left by another code")
    return subject


@pytest.fixture
def code(tmp_path) -> Path:
    """A pretended checkout at whatever commit a test writes into it."""
    folder = tmp_path / "code"
    (folder / ".git").mkdir(parents=True)
    for script in SCRIPTS:
        (folder / script).parent.mkdir(exist_ok=True)
        shutil.copy(Path(__file__).with_name("standin.py"), folder / script)
    return folder


@pytest.fixture
def launch(full, code, tmp_path):
    """launch(method, head=commit, **options): run one recipe with the stand-ins, and return its predictions."""
    weights = tmp_path / "weights"
    weights.mkdir()
    for name in ("base.tar", "chkpnt_ema_face_latest.pth", "chkpnt_ema_mouth_latest.pth"):
        (weights / name).write_bytes(b"weights")

    def launch(method, head=None, **options) -> Predictions:
        (code / ".git" / "HEAD").write_text((head or Registry().get(method).commit).ljust(40, "0") + "\n")
        defaults = {
            "subject": full.root, "out": tmp_path / "work", "code": code, "python": Path(sys.executable),
            "weights": weights, "budget": BUDGET,
        }
        config = RunConfig(method, **{**defaults, **options})
        out = run(config, lambda s, budget: s.frames("train")[:round(25 * budget)], lambda s: s.frames("val")[:-1])
        done = Predictions(out)
        done.verify()
        return done

    return launch


def listing(root: Path) -> list[tuple[str, int]]:
    return sorted((str(p), p.stat().st_mtime_ns) for p in root.rglob("*"))


def calls(code: Path) -> list[str]:
    return [line.strip() for line in (code / "calls.txt").read_text().splitlines()]


def home(code: Path, name: str) -> Path:
    return next(p for p in (code / name, code / "NeRFs" / name) if p.exists())


def test_six_codes_have_recipes():
    assert RECIPES == ["rad-nerf", "dfrf", "er-nerf", "gaussiantalker", "talkinggaussian", "instag"]


@pytest.mark.parametrize("method", RECIPES)
def test_recipe_end_to_end(method, full, code, launch, tmp_path):
    before = listing(full.root)
    done = launch(method)
    assert json.loads(home(code, "seen.json").read_text()) == list(range(25))  # the first 25 frames, none of the test
    work = tmp_path / "work" / "run"
    if method in ("rad-nerf", "er-nerf", "dfrf"):
        folder = "render/renderonly_path_300000" if method == "dfrf" else "validation"
        names = sorted((work / folder).glob("*.png"))[-27:][:26]
        expected = [cv2.imread(str(p))[..., ::-1] for p in names]
        assert done.manifest.lossless
    else:
        video = next(p for p in work.rglob("*") if p.name == "out.mp4" or p.name.endswith("renders.mov"))
        expected = list(read_frames(video))[:26]
        assert not done.manifest.lossless
    for got, frame in zip(done.frames(), expected, strict=True):
        np.testing.assert_array_equal(got, frame)
    assert (done.manifest.first_img_id, done.manifest.method) == (40, method)
    assert done.manifest.checks[0].startswith("alignment verified: best shift 0")
    assert done.manifest.timing is not None and 0 < done.manifest.timing.train_s < 60 and done.manifest.timing.exclusive
    assert listing(full.root) == before, "the subject was written to"
    count = len(calls(home(code, "calls.txt").parent))
    launch(method)
    assert len(calls(home(code, "calls.txt").parent)) == count, "a finished run trained again"


@pytest.mark.parametrize("method", RECIPES)
def test_cross_driven(method, launch, code, tmp_path):
    """The finished model is rendered with another sound of 20 frames; DFRF and GaussianTalker follow their poses."""
    write_wav(tmp_path / "b.wav", np.full(20 * 640, 0.1, np.float32))
    np.save(tmp_path / "b.npy", np.zeros((20, 16, 29), np.float32))
    options = {"audio": tmp_path / "b.wav", "features": tmp_path / "b.npy"}
    done = launch(method, **options)
    assert (done.manifest.setting, done.manifest.frames, done.root.name) == ("cross", 20, "predictions-b")
    assert done.audio().size == 20 * 640
    assert Predictions(tmp_path / "work" / "predictions").manifest.setting == "self"
    assert any("those after the sound's 20 are cut" in n for n in done.manifest.notes) == (method == "dfrf")
    before = len(calls(home(code, "calls.txt").parent))
    launch(method, **options)
    assert len(calls(home(code, "calls.txt").parent)) == before
    write_wav(tmp_path / "b.wav", np.full(30 * 640, 0.1, np.float32))
    with pytest.raises(UserError, match="was driven by another sound of that name; rename"):
        launch(method, **options)


def test_cross_needs_features(launch, tmp_path):
    write_wav(tmp_path / "b.wav", np.full(20 * 640, 0.1, np.float32))
    with pytest.raises(UserError, match=r"it needs --features for the cross-driven clip \(not given\)"):
        launch("instag", audio=tmp_path / "b.wav")


def test_dfrf_references_stay_inside_a_short_budget(code, launch, tmp_path):
    done = launch("dfrf")
    assert json.loads((tmp_path / "work" / "run" / "references.json").read_text()) == [0, 0, 0, 0]
    assert any("reference views 50, 100, 150, 200 reach beyond" in note for note in done.manifest.notes)


def test_crash_then_resume(code, launch, tmp_path):
    (code / "mishap").write_text("train_face.py crash")
    with pytest.raises(UserError, match=r"step face, failed with exit code 7 .*face.log: .*out of memory"):
        launch("talkinggaussian")
    assert not (tmp_path / "work" / "predictions").exists()
    (code / "mishap").unlink()
    done = launch("talkinggaussian")
    assert [c.split()[0] for c in calls(code)] == [
        "train_mouth.py", "train_face.py", "train_face.py", "train_fuse.py", "synthesize_fuse.py"
    ]
    assert not done.manifest.timing.exclusive, "the time of a repeated step must not be shown"
    assert any("interrupted in face" in note for note in done.manifest.notes)


def test_hang_is_stopped_with_all_its_children(code, launch):
    (code / "mishap").write_text("train_mouth.py hang")
    began = time.monotonic()
    with pytest.raises(UserError, match=r"step mouth, was stopped after 0.001 h; see .*mouth.log, or give a larger"):
        launch("talkinggaussian", timeout_h=0.001)
    assert time.monotonic() - began < 30
    child = int((code / "child.pid").read_text())
    for _ in range(100):
        if not Path(f"/proc/{child}").exists() or "zombie" in Path(f"/proc/{child}/status").read_text():
            break
        time.sleep(0.05)
    else:
        pytest.fail("a grandchild outlived the time limit")


def test_exit_zero_without_output(code, launch):
    (code / "mishap").write_text("train_fuse_con.py nothing")
    with pytest.raises(UserError, match=r"InsTaG, step fuse, ended without writing chkpnt_fuse_latest.pth"):
        launch("instag")


@pytest.mark.parametrize(("method", "script"), [("instag", "synthesize_fuse.py"), ("er-nerf", "main.py")])
def test_half_a_rendering(method, script, code, launch, tmp_path):
    (code / "mishap").write_text(f"{script} half")
    with pytest.raises(UserError, match=r"holds 12 frames, tiny needs 26 .*rendering stopped early"):
        launch(method)
    assert not (tmp_path / "work" / "predictions").exists()


def test_a_lost_output_is_made_again(code, launch, tmp_path):
    launch("talkinggaussian")
    (tmp_path / "work" / "run" / "chkpnt_fuse_latest.pth").unlink()
    launch("talkinggaussian")
    assert [c.split()[0] for c in calls(code)].count("train_fuse.py") == 2
    assert [c.split()[0] for c in calls(code)].count("train_mouth.py") == 1


def test_one_folder_holds_one_run(launch):
    launch("talkinggaussian")
    with pytest.raises(UserError, match="holds a run of another method, subject, budget or recipe"):
        launch("talkinggaussian", budget=1.2)
    with pytest.raises(UserError, match="holds a run of another method"):
        launch("instag")


def test_two_processes_do_not_share_a_folder(launch, tmp_path):
    from filelock import FileLock

    (tmp_path / "work").mkdir()
    with FileLock(tmp_path / "work" / "lock"), pytest.raises(UserError, match="is in use by another run"):
        launch("talkinggaussian")


def test_everything_missing_is_named_at_once(subject, tmp_path):
    config = RunConfig("instag", subject.root, tmp_path / "work", python=tmp_path / "nowhere" / "python")
    with pytest.raises(UserError) as caught:
        run(config, lambda s, b: s.frames("train")[:25], lambda s: s.frames("val")[:-1])
    for part in ("au.csv", "teeth_mask", "sapiens", "chkpnt_ema_face_latest.pth", "--code", "42f68f8", "--python"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value) and not (tmp_path / "work").exists()


def test_another_commit_is_refused(launch):
    with pytest.raises(UserError, match=r"is at commit 1234567, the recipe is for 9bd34f7\w*; check that out"):
        launch("talkinggaussian", head="1234567")
    assert launch("talkinggaussian", head="1234567", any_commit=True).manifest.frames == 26


def test_commit_is_read_without_git(tmp_path):
    git = tmp_path / ".git"
    assert commit_of(tmp_path) == ""
    git.mkdir()
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert commit_of(tmp_path) == ""
    (git / "packed-refs").write_text(f"# pack-refs\n{'a' * 40} refs/heads/other\n{'b' * 40} refs/heads/main\n")
    assert commit_of(tmp_path) == "b" * 40
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "refs" / "heads" / "main").write_text("c" * 40 + "\n")
    assert commit_of(tmp_path) == "c" * 40


def test_dry_run_prints_all_and_writes_nothing(full, tmp_path, capsys):
    config = RunConfig("instag", full.root, tmp_path / "work", dry_run=True, budget=BUDGET)
    run(config, lambda s, b: s.frames("train")[:25], lambda s: s.frames("val")[:-1])
    out = capsys.readouterr().out
    for part in ("at 42f68f8", "instag.sh", "first 25 training", "--N_views 25", "--eval --dilate", "missing: --code"):
        assert part in out
    assert out.count("\nstep ") == 4 and not (tmp_path / "work").exists()


def test_floors_run_too(full, tmp_path):
    config = RunConfig("nearest-pose", full.root, tmp_path / "work", budget=BUDGET)
    out = run(config, lambda s, b: s.frames("train")[:25], lambda s: s.frames("val")[:-1])
    assert Predictions(out).manifest.method == "nearest-pose"
    with pytest.raises(UserError, match="'d3talker' cannot be run from here: it is trained here"):
        run(RunConfig("d3talker", full.root, tmp_path / "x"), lambda s, b: [], lambda s: s.frames("val"))


def test_killed_in_the_middle_then_resumed(full, code, launch, tmp_path):
    """SIGKILL of d3talker itself while a step runs: the next call repeats that step alone."""
    (code / ".git" / "HEAD").write_text(Registry().get("talkinggaussian").commit)
    (code / "mishap").write_text("train_face.py hang")
    command = [
        sys.executable, "-m", "d3talker.cli", "run", "talkinggaussian", "--subject", str(full.root), "--out",
        str(tmp_path / "work"), "--code", str(code), "--python", sys.executable, "--budget", "1",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    for _ in range(600):
        if (code / "child.pid").exists():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (code / "mishap").unlink()
    with pytest.raises(UserError, match=r"process group \d+ of an earlier call still works here; end it, or delete"):
        launch("talkinggaussian")
    os.killpg(int((code / "own.pid").read_text()), signal.SIGKILL)
    time.sleep(0.1)
    done = launch("talkinggaussian")
    assert [c.split()[0] for c in calls(code)].count("train_mouth.py") == 1
    assert not done.manifest.timing.exclusive


@pytest.mark.parametrize("method", RECIPES)
def test_environment_script_fits_the_spec(method, repo_root):
    spec = Registry().get(method)
    script = repo_root / "baselines" / "official" / "environments" / Registry().adapter(method).run.environment
    text = script.read_text()
    assert f"git clone {spec.url} " in text and f"git checkout {spec.commit}\n" in text
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
