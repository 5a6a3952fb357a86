"""Every adapter of the tree keeps the contract, and `d3talker check` catches one that breaks it."""

from __future__ import annotations

import pytest

from baselines.adapter import Adapter
from baselines.checking import Violation, rules
from baselines.registry import Registry
from d3talker.cli import main

NAMES = [spec.name for spec in Registry()]

BASE = '''
from baselines.adapter import Adapter, Native, Skip
from baselines.spec import MethodSpec
SPEC = MethodSpec(name="toy", title="Toy", kind="other", status="a toy")
{}
'''
PREDICT = '''
def predict(subject, train, test, out):
    from baselines.floors import write
    {}
ADAPTER = Adapter(locate=Skip("none"), run=predict)
'''
BREACHES = {
    "imports a heavy module at its top": ("import av", "it imports av at its top"),
    "finds what is not there": (
        "from pathlib import Path\nADAPTER = Adapter(locate=lambda folder, setting: [Native(Path('x.mp4'))])",
        "claims to find 1 outputs where there are none",
    ),
    "crashes on an empty folder": (
        "ADAPTER = Adapter(locate=lambda folder, setting: [1 / 0])", "ZeroDivisionError instead of a UserError",
    ),
    "writes into the run's folder": (
        "from baselines.outputs.locating import by_pattern\ndef look(folder, setting):\n"
        "    if folder.is_dir(): (folder / 'cache').touch()\n    return by_pattern(SPEC, folder, setting)\n"
        "ADAPTER = Adapter(locate=look)",
        "writes into the folder that it reads",
    ),
    "skips without a reason": ("ADAPTER = Adapter(run=Skip(''))", "run is skipped without a reason"),
    "no status": ("SPEC = MethodSpec(name='toy', title='Toy', kind='other')", "status is empty"),
    "too few frames": (
        PREDICT.format("write(SPEC, subject, test, (subject.gt(f.img_id) for f in test[:5]), out)"),
        "the manifest says",
    ),
    "wrong size": (
        PREDICT.format("write(SPEC, subject, test, (subject.gt(f.img_id)[:40] for f in test), out)"), "have the sizes",
    ),
    "not deterministic": (
        PREDICT.format(
            "import numpy as np; noise = np.random.default_rng()\n"
            "    write(SPEC, subject, test, (noise.integers(0, 255, (48, 64, 3), np.uint8) for f in test), out)"
        ),
        "two runs on the same subject differ",
    ),
    "writes into the subject": (
        PREDICT.format(
            "(subject.root / 'cache.txt').write_text(str(out))\n"
            "    write(SPEC, subject, test, (subject.gt(f.img_id) for f in test), out)"
        ),
        "writes into the subject folder",
    ),
    "crashes": (PREDICT.format("raise MemoryError('no')"), "MemoryError: no"),
}


@pytest.mark.parametrize("name", NAMES)
def test_every_adapter_keeps_the_contract(name):
    registry = Registry()
    for rule, check in rules(registry.get(name), registry.adapter(name)):
        if rule != "its file loads without heavy imports":  # one process for all, in test_published
            check()


@pytest.mark.parametrize("breach", BREACHES)
def test_check_catches(breach, tmp_path, capsys):
    text, said = BREACHES[breach]
    path = tmp_path / "toy.py"
    path.write_text(BASE.format(text))
    assert main(["check", "toy", "--plugin", str(path)]) == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAILED")]
    assert len(failed) == 1 and said in failed[0]


def test_check_passes_on_the_documented_toy(capsys):
    assert main(["check", "nearest-pose"]) == 0
    out = capsys.readouterr().out
    assert out.count("    ok  ") == 4 and out.count("  skip  ") == 3


def test_rules_raise_nothing_but_violations():
    assert issubclass(Violation, Exception)
    with pytest.raises(Violation):
        empty_handed = Adapter(locate=lambda folder, setting: [])
        dict(rules(Registry().get("instag"), empty_handed))["a folder without outputs is one clear sentence"]()
