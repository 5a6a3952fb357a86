"""The command line: quick help without torch, one sentence and exit code 2 for bad input."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from d3talker import cli
from d3talker.errors import UserError, require


def test_help_imports_no_torch() -> None:
    code = "import sys; from d3talker.cli import main; main(['--help']); sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in cli.COMMANDS:
        assert f"\n  {name} " in done.stdout


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([name, "--help"])
    assert stop.value.code == 0 and f"d3talker {name}" in capsys.readouterr().out


@pytest.mark.parametrize(("args", "sentence"), [
    (["bake"], "there is no command 'bake'"),
    (["bench", "--preset", "huge"], "there is no preset 'huge'"),
    (["bench", "--subjects", "nowhere", "--out", "r", "--preset", "mini"], "nowhere is not a folder"),
    (["bench", "--subjects", "nowhere", "--out", "r", "--metrics", "beauty"], "there is no metric 'beauty'"),
    (["bench", "--subjects", "x", "--out", "r", "--preset", "mini", "--model.schedule.warmup", "9999"], "schedule.warmup (9999)"),
    (["report", "nowhere", "--out", "r"], "nowhere"),
    (["prepare", "nowhere.mp4", "--out", "x"], "nowhere.mp4"),
    (["adapt", "--subject", "nowhere", "--out", "r", "--ablation", "without-talent"], ""),
    (["render", "nowhere", "--subject", "nowhere", "--out", "r"], "nowhere"),
])
def test_bad_input_is_one_sentence_and_code_2(
    args: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(args) == 2
    error = capsys.readouterr().err
    assert error.startswith("d3talker: ") and sentence in error and len(error.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_interruption_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(args: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_dispatch", interrupt)
    assert cli.main([]) == 130 and "run the same command again" in capsys.readouterr().err


def test_a_closed_pipe_is_no_error_message() -> None:
    show = subprocess.Popen(
        [sys.executable, "-c", "import sys, time; time.sleep(1); from d3talker.cli import main; sys.exit(main(['adapt', '--help']))"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    assert show.stdout and show.stderr
    show.stdout.close()
    assert show.stderr.read() == b"" and show.wait() == 1
    show.stderr.close()


def test_doctor_names_the_extra_of_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, package=None: None if name == "lpips" else found(name, package))
    assert cli.main(["doctor"]) == 0 and "pip install '.[lpips]'" in capsys.readouterr().out  # rich takes [lpips] for a style


def test_missing_extra_names_its_install_command() -> None:
    with pytest.raises(UserError, match=r"LMD needs 'no_such_module', .* pip install '\.\[landmarks\]'"):
        require("no_such_module", "landmarks", "LMD")


def test_importing_the_package_needs_no_optional_library() -> None:
    code = (
        "import sys\nfor name in ('gsplat', 'tinycudann', 'dlib', 'syncnet_python', 'lpips', 'torchvision', 'espeakng_loader'):\n"
        "    sys.modules[name] = None\n"
        "import d3talker.method.synthesis, d3talker.method.pretrain, eval.metrics.score, eval.harness, reports.report, baselines.registry"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
