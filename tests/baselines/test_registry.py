"""Methods come from the tree, entry points, declarations and plug-in files; a broken one is reported, never fatal."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from baselines import registry
from baselines.adapter import Skip
from baselines.registry import Registry, get, methods
from d3talker.cli import main
from d3talker.errors import UserError
from d3talker.people.media.predictions import Predictions
from d3talker.people.subject.layout import write_image

TABLE_1 = ["ground-truth", "rad-nerf", "dfrf", "er-nerf", "gaussiantalker", "talkinggaussian", "instag", "d3talker"]
FLOORS = ["mean-frame", "nearest-pose", "ground-truth-h264"]

PLUGIN = '''
"""Mirror: shows the training frames backwards."""
from baselines.adapter import Adapter, Skip
from baselines.spec import MethodSpec

SPEC = MethodSpec(name="mirror", title="Mirror", kind="other", torso_mode="synthesised", status="a toy")


def predict(subject, train, test, out):
    from baselines.floors import write
    write(SPEC, subject, test, (subject.gt(train[-1 - k % len(train)].img_id) for k in range(len(test))), out)


ADAPTER = Adapter(locate=Skip("a toy has no outputs"), run=predict)
'''


@pytest.fixture(autouse=True)
def own_declarations(monkeypatch, tmp_path):
    """Never read or write the developer's own declarations."""
    monkeypatch.setenv("D3TALKER_METHODS", str(tmp_path / "methods"))


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "mirror.py"
    path.write_text(PLUGIN)
    return path


def test_table_order():
    assert [spec.name for spec in methods()] == TABLE_1 + FLOORS
    assert get("instag").title == "InsTaG"


def test_unknown_method_names_the_choices(tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text("import nowhere_to_be_found")
    with pytest.raises(UserError, match=r"'instagram' is unknown; choose one of .*instag.*bad.py could not be loaded"):
        get("instagram", (bad,))


def test_plugin_file(plugin):
    found = Registry((plugin,))
    assert [spec.name for spec in found][-1] == "mirror"
    assert not isinstance(found.adapter("mirror").can("run"), Skip)
    assert found.adapter("mirror").can("locate") == Skip("a toy has no outputs")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise SystemError('boom')", "SystemError: boom"), ("def f(:", "SyntaxError"), ("x = 1", "holds no SPEC"),
        (PLUGIN.replace('"mirror"', '"instag"'), "defines 'instag', which exists already"),
        (PLUGIN.replace("ADAPTER = Adapter(", "ADAPTER = dict("), "is no baselines.adapter.Adapter"),
    ],
)
def test_a_broken_plugin_is_reported_not_fatal(text, reason, tmp_path, capsys):
    path = tmp_path / "broken.py"
    path.write_text(text)
    found = Registry((path,))
    assert [spec.name for spec in found] == TABLE_1 + FLOORS
    assert len(found.broken) == 1 and reason in found.broken[0].reason and found.broken[0].source == str(path)
    assert main(["methods", "--plugin", str(path)]) == 0
    assert f"not loaded: {path}: " in capsys.readouterr().out


def test_entry_points(monkeypatch, plugin, tmp_path):
    entries = [
        EntryPoint("mirror", "mirror", registry.GROUP), EntryPoint("gone", "no_such_module_at_all", registry.GROUP)
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: entries if group == registry.GROUP else [])
    monkeypatch.syspath_prepend(str(plugin.parent))
    found = Registry()
    assert found.get("mirror").title == "Mirror"
    assert [b.source for b in found.broken] == ["entry point gone (no_such_module_at_all)"]


def test_methods_add_then_import(subject, rendering, tmp_path, capsys):
    assert main(["methods", "add", "mine", "--outputs", "renders/*.png", "--torso-mode", "none"]) == 0
    assert "d3talker import mine RUN_FOLDER" in capsys.readouterr().out
    frames = rendering(range(60, 91))
    for number, frame in enumerate(frames):
        write_image(tmp_path / "run" / "renders" / f"{number}.png", frame)
    command = ["import", "mine", str(tmp_path / "run"), "--subject", str(subject.root), "--out", str(tmp_path / "p")]
    assert main(command) == 0
    assert "alignment verified" in capsys.readouterr().out
    done = Predictions(tmp_path / "p")
    assert (done.manifest.method, done.manifest.torso_mode, done.manifest.lossless) == ("mine", "none", True)
    for got, expected in zip(done.frames(), frames[:30], strict=True):
        assert (got == expected).all()
    assert main(["methods"]) == 0
    assert any(line.startswith("| mine ") for line in capsys.readouterr().out.splitlines())
    assert main(["check", "mine"]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "Bad Name", "--outputs", "x.mp4"], "small letters, digits and hyphens"),
        (["add", "mine"], "needs a name and a pattern"),
        (["add", "instag", "--outputs", "x.mp4"], "'instag' exists already"),
        (["add", "mine", "--outputs", "../x.mp4"], "must lie inside the run's folder"),
        (["add", "mine", "--outputs", "/x.mp4"], "must lie inside the run's folder"),
        (["show", "nobody"], "'nobody' is unknown"),
    ],
)
def test_methods_refuses(arguments, said, capsys):
    assert main(["methods", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"name": "x"}', '{"name": "x", "outputs": "a", "run": "rm"}', '{"name": 3, "outputs": "a"}']
)
def test_a_damaged_declaration_is_reported(text, tmp_path):
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "x.json").write_text(text)
    found = Registry()
    assert [spec.name for spec in found] == TABLE_1 + FLOORS
    assert len(found.broken) == 1 and "x.json" in found.broken[0].reason


def test_list_and_show(capsys):
    assert main(["methods"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(TABLE_1 + FLOORS)
    instag = next(line for line in lines if "| instag " in line)
    assert "31.129" in instag and "CVPR'25" in instag
    assert main(["methods", "show", "d3talker"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("published:") == 8 + 24 + 4 + 56
    assert "published: sync_c 0.681 (Table 4, 20 s, self-driven, individual-only)" in shown
    assert "published: sync_d 9.262 (Table 3, 10 s, cross-driven audio B)" in shown
