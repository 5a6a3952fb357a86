"""Key frames, worst frames and videos: the right frames of the right clips, and gaps that cost nothing else."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baselines.registry import methods
from d3talker.errors import UserError
from d3talker.people.media.predictions import Predictions
from d3talker.people.media.video import probe, read_audio, read_frames
from eval.metrics.result import MetricResult
from reports.alignment import Segment, instants, read_alignment
from reports.casts import casts
from reports.columns import LMD, PSNR
from reports.curves import read_log, worst_frames
from reports.load import load_results
from reports.report import ReportConfig, run
from reports.scenes import build_scene


def scenes(maker, out):
    results = load_results(maker.root)
    return [build_scene(results, cast, out) for cast in casts(results.records, methods(), None)]


def test_ground_truth_stands_above_the_methods_at_the_same_instants(maker, tmp_path):
    maker.record(clips=True)
    maker.record("instag", clips=True)
    maker.record("mean-frame", clips=True)
    (scene,) = scenes(maker, tmp_path)
    board = scene.boards[0]
    assert [row.title for row in board.rows] == ["Ground Truth", "InsTaG", "D³-Talker"]
    assert len({len(row.files) for row in board.rows}) == 1 and len(board.labels) == len(board.rows[0].files) == 6
    from PIL import Image

    truth = list(Predictions(maker.root / "reference" / "anna").frames())
    for label, file in zip(board.labels, board.rows[0].files):
        shown = np.asarray(Image.open(tmp_path / file)).astype(float)
        frame = truth[round(float(label.split()[0]) * 25)]
        assert np.abs(shown - frame).mean() < 12, "noise through JPEG, but this frame and no other"


def test_videos_have_every_frame_and_the_sound(maker, tmp_path):
    maker.record(clips=True)
    (scene,) = scenes(maker, tmp_path)
    assert [clip.title for clip in scene.clips] == ["Ground Truth", "D³-Talker"]
    for file in [*(clip.file for clip in scene.clips), scene.side_by_side]:
        assert sum(1 for _ in read_frames(tmp_path / file)) == 10
        assert np.abs(read_audio(tmp_path / file)).max() > 0.1
    both = next(read_frames(tmp_path / scene.side_by_side))
    assert both.shape[1] == 64 and both.shape[0] > 32
    info = probe(tmp_path / scene.side_by_side)
    assert info.metadata["synthetic"] == "true" and "d3talker" in info.metadata["method"]


def test_cross_driven_clips_have_no_ground_truth_and_ablations_no_video(maker, tmp_path):
    maker.record(clips=True, setting="cross", audio="song")
    maker.record(clips=True, budget=20)
    maker.record(clips=True, budget=20, ablation="without-c2f")
    found = {scene.kind: scene for scene in scenes(maker, tmp_path)}
    assert [row.title for row in found["cross"].boards[0].rows] == ["D³-Talker"] and "song" in found["cross"].title
    assert [row.title for row in found["ablation"].boards[0].rows] == ["Ground Truth", "D³-Talker", "w/o C2F"]
    assert not found["ablation"].clips and found["cross"].clips


@pytest.mark.parametrize("damage", ["gone", "manifest", "frames", "alignment"])
def test_a_damaged_clip_costs_no_table(maker, tmp_path, damage):
    record = maker.record(clips=True)
    folder = maker.root / "predictions" / record.key
    if damage == "gone":
        folder.rename(maker.root / "elsewhere")
    if damage == "manifest":
        (folder / "manifest.json").write_text("{}")
    if damage == "frames":
        (folder / "frames.mkv").write_bytes(b"no video")
    if damage == "alignment":
        (maker.root / "reference" / "anna" / "alignment.json").write_text('[{"begin": 0}]')
    assert run(ReportConfig(maker.root, tmp_path / "report", figures=False)) == 0
    page = (tmp_path / "report" / "index.html").read_text("utf-8")
    assert f"records/{record.key}.html#psnr" in page
    assert damage != "frames" or "Clips that cannot be shown" in page
    assert damage != "alignment" or "must be a list of" in page


def test_alignment_gives_instants_and_labels(tmp_path):
    entries = [
        {"start": 0.0, "end": 0.4, "word": "sil"}, {"start": 0.4, "end": 0.8, "word": "policy", "phoneme": "p"},
        {"start": 0.8, "end": 1.0, "phoneme": "iː"}, {"start": 2.0, "end": 2.6, "word": "way"},
    ]
    (tmp_path / "alignment.json").write_text(json.dumps(entries))
    segments = read_alignment(tmp_path)
    assert [segment.label for segment in segments] == ["policy /p/", "/iː/", "way"]
    assert instants(75, 25, segments, 3) == [(15, "policy /p/"), (37, "1.48 s"), (57, "way")]
    assert read_alignment(tmp_path / "none") == []
    (tmp_path / "alignment.json").write_text('{"words": []}')
    with pytest.raises(UserError, match="must be a list"):
        read_alignment(tmp_path)


SEGMENTS = st.builds(lambda a, d: Segment(a, a + d, "x"), st.floats(0, 20), st.floats(0.01, 3))


@given(st.integers(1, 500), st.lists(SEGMENTS, max_size=8), st.integers(1, 8))
def test_instants_are_ascending_frames_of_the_clip(frames, segments, wanted):
    times = [time for time, _ in instants(frames, 25, segments, wanted)]
    assert times == sorted(set(times)) and 1 <= len(times) <= wanted
    assert times[0] >= 0 and times[-1] < frames


def test_worst_frames_are_the_worst_and_apart(maker):
    values = [30.0] * 100
    for frame, value in ((10, 20.0), (12, 21.0), (40, 22.0), (80, 23.0)):
        values[frame] = value
    metrics = {"psnr": MetricResult(value=29.0, per_frame=[*values[:50], None, *values[51:]])}
    record = maker.record(metrics=metrics)
    assert worst_frames(record, PSNR, 3) == [10, 40, 80]
    assert worst_frames(record, LMD) == []


def test_logs_run_on_through_stages_and_bad_ones_are_passed_over(tmp_path):
    log = {"step": [0, 10, 0, 10], "stage": [0, 0, 1, 1], "loss": {"l1": [4, 3, 2, 1], "short": [1]}}
    (tmp_path / "log.json").write_text(json.dumps(log))
    assert read_log(tmp_path / "log.json") == ([0, 10, 10, 20], {"l1": [4, 3, 2, 1]}, [10])
    for text in ("{", "[]", '{"step": "x", "loss": {}}', '{"step": [], "loss": {}}'):
        (tmp_path / "log.json").write_text(text)
        assert read_log(tmp_path / "log.json") is None
