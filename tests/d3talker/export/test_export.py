"""Exports opened again by readers that are not ours, and drawn: the same picture, cameras, mesh and video."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from d3talker import cli
from d3talker.export.ply import columns
from d3talker.export.splats import of_frame
from d3talker.files import read_json
from d3talker.graphics.layers import Layer, Posed, compose
from d3talker.graphics.options import REGIONS
from d3talker.graphics.render import rasterize
from d3talker.learning.rendering import back, camera, driven
from d3talker.method.adapt import train_identity
from d3talker.method.synthesis import TrainedTalker
from d3talker.people.head.embedded import embedded_head
from d3talker.people.media.mark import read_mark
from d3talker.people.media.video import probe, read_audio, read_frames, write_wav
from d3talker.people.subject.layout import Subject

from ..method.test_adapt import TINY

EVERY = 7


@pytest.fixture(scope="module")
def trained(person: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    subject, out = Subject(person), tmp_path_factory.mktemp("run") / "run"
    train_identity(TINY, subject, subject.frames("train")[:20], out, 1)
    return out


@pytest.fixture(scope="module")
def exported(trained: Path, person: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export") / "out"
    sound = out.parent / "sound.wav"
    write_wav(sound, np.random.default_rng(0).normal(0, 0.1, 48000).astype(np.float32), 48000)
    words = ["--subject", str(person), "--audio", str(sound), "--every", str(EVERY), "--device", "cpu"]
    assert cli.main(["export", str(trained), "--out", str(out), *words]) == 0
    return out


def read_back(path: Path) -> dict[str, torch.Tensor]:
    """Gaussians of a .ply as 3DGS's own viewer activates them, by plyfile."""
    plyfile = pytest.importorskip("plyfile")
    vertex = plyfile.PlyData.read(str(path))["vertex"]
    assert [p.name for p in vertex.properties] == columns(1)

    def stack(*names: str) -> torch.Tensor:
        return torch.from_numpy(np.stack([np.asarray(vertex[name]) for name in names], -1))

    rest = stack(*(f"f_rest_{i}" for i in range(9))).reshape(-1, 3, 3).transpose(1, 2)
    return {
        "means": stack("x", "y", "z"), "quats": stack(*(f"rot_{i}" for i in range(4))),
        "scales": stack(*(f"scale_{i}" for i in range(3))).exp(), "opacities": stack("opacity")[:, 0].sigmoid(),
        "sh": torch.cat([stack(*(f"f_dc_{i}" for i in range(3)))[:, None], rest], 1),
    }


def draw(part: dict[str, torch.Tensor], view, centre: torch.Tensor) -> Layer:
    """One region with colours by gsplat's own harmonics, and our rasteriser's readable twin."""
    torch_gsplat = pytest.importorskip("gsplat.cuda._torch_impl")
    directions = part["means"] - centre
    colors = (torch_gsplat._spherical_harmonics(1, directions, part["sh"]) + 0.5).clamp_min(0)
    posed = Posed(part["means"], part["quats"], part["scales"], part["opacities"], colors)
    drawn = rasterize(*posed, view.viewmat[None], view.K[None], view.width, view.height, backend="reference")
    return Layer(drawn.rgb[0], drawn.alpha[0], drawn.depth[0], None)


def test_the_ply_of_a_frame_is_drawn_as_the_talker_draws_it(exported: Path, trained: Path, person: Path) -> None:
    talker, subject = TrainedTalker(trained, "cpu"), Subject(person)
    shot = driven(talker, subject, subject.frames("val"), exported.parent / "sound.wav")
    at = 2 * EVERY
    whole = read_back(exported / "frames" / f"{at:06d}.ply")
    counts = [len(found.means) for found in of_frame(talker, shot.signals, at).values()]
    assert sum(counts) == len(whole["means"])
    cameras = read_json(exported / "transforms.json")
    c2w = torch.tensor(cameras["frames"][at]["transform_matrix"])
    view = camera(subject, shot.frames[at], talker.device)
    parts = [dict(zip(whole, values)) for values in zip(*(value.split(counts) for value in whole.values()))]
    face, mouth = (draw(part, view, c2w[:3, 3]) for part in parts)
    behind = back(subject, shot.frames[at], talker.device)
    again = compose(face, mouth, behind).clamp(0, 1)
    expected = talker.coarse(shot.signals, at, view, behind)
    assert (again - expected).abs().max() < 2e-3 and (expected - behind).abs().max() > 0.1
    assert cameras["frames"][at]["ply_file_path"] == f"frames/{at:06d}.ply"
    assert cameras["fl_x"] == pytest.approx(subject.K[0, 0]) and len(cameras["frames"]) == 25


def test_static_gaussians_are_those_of_the_checkpoint(exported: Path, trained: Path) -> None:
    talker = TrainedTalker(trained, "cpu").talker
    head = read_back(exported / "head.ply")
    for region in REGIONS:
        own, g = read_back(exported / f"{region}.ply"), talker.gaussians(region)
        torch.testing.assert_close(own["means"], g.means.detach())
        torch.testing.assert_close(own["scales"], g.scales().detach(), rtol=1e-5, atol=1e-9)
        torch.testing.assert_close(own["opacities"], g.opacities().detach(), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(own["sh"], g.sh.detach())
    assert len(head["means"]) == sum(len(talker.gaussians(region).means) for region in REGIONS)
    assert "synthetic video made by d3talker" in (exported / "head.ply").read_bytes()[:200].decode("ascii")


def test_the_mesh_opens_elsewhere_and_moves_by_the_track(exported: Path, person: Path) -> None:
    face, subject = embedded_head(), Subject(person)
    data = np.load(exported / "head.npz")
    assert data["expression"].shape == (25, len(face.expression_names)) and data["camera_to_world"].shape == (25, 4, 4)
    raw = (exported / "head.glb").read_bytes()
    tree = json.loads(raw[20:20 + int.from_bytes(raw[12:16], "little")])
    blob = raw[28 + int.from_bytes(raw[12:16], "little"):]

    def values(index: int) -> np.ndarray:
        accessor = tree["accessors"][index]
        view = tree["bufferViews"][accessor["bufferView"]]
        part = blob[view["byteOffset"]:view["byteOffset"] + view["byteLength"]]
        return np.frombuffer(part, {5126: np.float32, 5125: np.uint32}[accessor["componentType"]])

    sampler = tree["animations"][0]["samplers"][0]
    weights = values(sampler["output"]).reshape(25, -1)
    np.testing.assert_allclose(values(sampler["input"]), np.arange(25) / 25, rtol=1e-6)
    primitive = tree["meshes"][0]["primitives"][0]
    morphs = np.stack([values(target["POSITION"]).reshape(-1, 3) for target in primitive["targets"]])
    rest = values(primitive["attributes"]["POSITION"]).reshape(-1, 3)
    moved = rest + np.tensordot(weights[9], morphs, 1)
    np.testing.assert_allclose(moved, face.vertices(subject.identity(), data["expression"][9]), atol=1e-6)
    trimesh = pytest.importorskip("trimesh")
    loaded = trimesh.load(exported / "head.glb", force="mesh", process=False)
    np.testing.assert_allclose(loaded.vertices, rest, atol=1e-6)
    np.testing.assert_array_equal(loaded.faces, face.triangles)


def test_the_video_plays_with_its_sound_and_says_what_it_is(exported: Path) -> None:
    video = exported / "talk.mp4"
    info, mark = probe(video), read_mark(video)
    assert (info.codec, info.fps, len(list(read_frames(video)))) == ("h264", 25, 25)
    assert mark is not None and mark.synthetic and mark.methods == ("d3talker",)
    sound = read_audio(video)
    assert abs(len(sound) - 16000) < 1000 and sound.std() > 0.05
    raw = video.read_bytes()
    assert 0 < raw.index(b"moov") < raw.index(b"mdat")  # players may begin before the whole file is there


def test_splat_holds_the_same_gaussians(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("gsplat")
    assert cli.main(["export", str(trained), "--out", str(tmp_path / "s"), "--format", "splat", "--device", "cpu"]) == 0
    raw = np.frombuffer((tmp_path / "s" / "face.splat").read_bytes(), np.uint8).reshape(-1, 32)
    means = np.sort(raw[:, :12].copy().view(np.float32), 0)
    g = TrainedTalker(trained, "cpu").talker.gaussians("face")
    np.testing.assert_allclose(means, np.sort(g.means.detach().numpy(), 0), rtol=1e-6)


@pytest.mark.parametrize(("words", "told"), [
    (["--parts", "video"], "--subject is missing"), (["--every", "0"], "give at least 1"),
])
def test_what_cannot_be_written_is_one_sentence(trained: Path, tmp_path: Path, capsys, words, told) -> None:
    assert cli.main(["export", str(trained), "--out", str(tmp_path / "new"), *words]) == 2
    assert told in capsys.readouterr().err and not (tmp_path / "new").exists()


def test_a_folder_of_something_else_is_left_alone(trained: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert cli.main(["export", str(trained), "--out", str(tmp_path)]) == 2
    assert "holds no export" in capsys.readouterr().err and (tmp_path / "mine.txt").read_text() == "mine"


def test_a_checkpoint_of_another_version_is_one_sentence(trained: Path, tmp_path: Path, capsys) -> None:
    from d3talker import checkpoint

    state = checkpoint.load(trained / "adapt.safetensors")
    state["model"] = {name.replace("means", "centres"): value for name, value in state["model"].items()}
    checkpoint.save(tmp_path / "old" / "adapt.safetensors", state)
    assert cli.main(["export", str(tmp_path / "old"), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "does not fit this d3talker" in error and error.count("\n") == 1 and not (tmp_path / "out").exists()
