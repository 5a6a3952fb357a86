"""docs/adding-a-method.md: what it shows is in the tree, and its commands run as printed."""

from __future__ import annotations

import re
import shlex

import pytest

from d3talker.cli import main
from d3talker.people.media.predictions import Predictions
from d3talker.people.subject.layout import write_image


@pytest.fixture(scope="module")
def page(repo_root) -> str:
    return (repo_root / "docs" / "adding-a-method.md").read_text()


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page, re.S)


def commands(page: str) -> list[list[str]]:
    return [shlex.split(line)[1:] for line in re.findall(r"^    (d3talker .*)$", page, re.M)]


def test_the_toy_is_really_in_the_tree(page, repo_root):
    source = (repo_root / "baselines" / "methods" / "nearest_pose.py").read_text()
    for part in blocks(page)[0].strip().split("\n\n\n"):
        assert part in source
    for link in re.findall(r"\]\(\.\./([\w/.]+)\)", page):
        assert (repo_root / link).is_file()


def test_every_command_runs(page, subject, rendering, write_h264, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("D3TALKER_METHODS", str(tmp_path / "methods"))
    monkeypatch.chdir(tmp_path)
    frames = rendering(range(60, 91))
    write_h264(tmp_path / "out.mp4", frames)
    for number, frame in enumerate(frames):
        write_image(tmp_path / "frames" / f"{number}.png", frame)
        write_image(tmp_path / "runs" / "cnn2" / "renders" / f"{number}.png", frame)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cnn2").symlink_to(subject.root)
    (tmp_path / "mirror.py").write_text(blocks(page)[1])
    training = ("adapt", "render", "bench")  # minutes each: tests/test_docs.py sees that they are understood
    found = [command for command in commands(page) if command[0] not in training]
    assert len(found) == 9 and found.pop()[0] == "compare"  # tests/reports/test_compare.py runs that one
    for command in found:
        command = ["1" if part == "10" else part for part in command]  # the tiny subject has no 10 s
        assert main(command) == 0, command
    assert Predictions("preds/mine-cnn2").manifest.method == "mine"
    assert Predictions("runs/mirror-cnn2/predictions").manifest.method == "mirror"
    assert "| mine " in capsys.readouterr().out
