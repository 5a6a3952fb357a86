"""The message while kernels compile."""

from __future__ import annotations

import time

from d3talker import jit


def test_only_a_slow_first_use_speaks(monkeypatch, capsys):
    monkeypatch.setattr(jit, "_PATIENCE", 0.05)
    monkeypatch.setattr(jit, "_compiled", set())
    with jit.compiling("quick"):
        pass
    with jit.compiling("slow"):
        time.sleep(0.3)
    with jit.compiling("slow"):
        time.sleep(0.3)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "compiling the slow kernels" in lines[0]
