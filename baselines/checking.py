"""d3talker check METHOD: contract tests on any adapter, one of ours or a foreign one."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import tyro

from baselines import declared
from baselines.adapter import ABILITIES, Adapter, Native, Predict, Skip, Supported
from baselines.outputs.locating import by_pattern
from baselines.recipe import Recipe
from baselines.registry import Registry
from baselines.spec import Kind, MethodSpec, Metric
from d3talker.errors import UserError

if TYPE_CHECKING:
    from d3talker.people.subject.layout import Subject

HEAVY = ("torch", "cv2", "av")


class Violation(Exception):
    """A rule of the contract that the adapter breaks."""


@dataclass(frozen=True)
class CheckConfig:
    """Run the contract tests on one method: its data, abilities, behaviour on bad folders, and predictions."""

    method: tyro.conf.Positional[str]
    """A name from `d3talker methods`."""
    plugin: tuple[Path, ...] = ()
    """Python files that define more methods."""


def run(config: CheckConfig) -> int:
    """Print one line a rule.  Returns 0 when all hold, else 1; raises UserError when the method cannot be loaded."""
    registry = Registry(config.plugin)
    spec, adapter = registry.get(config.method), registry.adapter(config.method)
    failed = 0
    for name, rule in rules(spec, adapter, config.plugin):
        try:
            said = rule()
            print(f"{'skip' if said else 'ok':>6}  {name}" + (f" ({said})" if said else ""))
        except Violation as error:
            failed += 1
            print(f"FAILED  {name}: {error}")
    return 1 if failed else 0


def rules(
    spec: MethodSpec, adapter: Adapter, plugins: Sequence[Path] = ()
) -> list[tuple[str, Callable[[], str | None]]]:
    """All rules as (name, function); a function returns None or why it was skipped, and raises Violation."""
    return [
        ("its spec is complete and valid", lambda: _spec(spec)),
        ("its file loads without heavy imports", lambda: _light(plugins)),
        ("each ability is there or says why not", lambda: _abilities(adapter)),
        ("a folder without outputs is one clear sentence", lambda: _empty(spec, adapter)),
        ("its predictions are whole, in our process", lambda: _predicts(spec, adapter)),
        ("its options can train, on any device", lambda: _options(adapter)),
        ("its training can be killed, goes on to the same bits, drives and draws", lambda: _trains(adapter)),
    ]


def _spec(spec: MethodSpec) -> None:
    for field in ("name", "title", "status"):
        if not getattr(spec, field):
            raise Violation(f"{field} is empty")
    if not declared.NAME.fullmatch(spec.name):
        raise Violation(f"the name '{spec.name}' has other characters than small letters, digits and hyphens")
    if spec.kind not in get_args(Kind):
        raise Violation(f"the kind '{spec.kind}' is none of {', '.join(get_args(Kind))}")
    for number in spec.published:
        if number.metric not in get_args(Metric) or not isinstance(number.value, (int, float)):
            raise Violation(f"the published number {number} has no known metric or no value")
    cells = [(n.table, n.metric, n.budget, n.setting, n.audio, n.ablation, n.source) for n in spec.published]
    if len(set(cells)) < len(cells):
        raise Violation("one cell of a table is published twice")


def _light(plugins: Sequence[Path]) -> None:
    code = (
        "import sys; from pathlib import Path; from baselines.registry import Registry; "
        "Registry(tuple(map(Path, sys.argv[2:]))); print(*(set(sys.argv[1].split()) & sys.modules.keys()))"
    )
    done = subprocess.run(  # noqa: S603  our own interpreter, fixed code
        [sys.executable, "-c", code, " ".join(HEAVY), *(str(p.resolve()) for p in plugins)],
        cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=60, check=False,
    )
    if done.returncode:
        raise Violation(done.stderr.strip().splitlines()[-1])
    if done.stdout.strip():
        raise Violation(f"it imports {done.stdout.strip()} at its top; import that inside the functions")


def _abilities(adapter: Adapter) -> None:
    for ability in ABILITIES:
        answer = adapter.can(ability)
        if isinstance(answer, Skip) and not answer.reason:
            raise Violation(f"{ability} is skipped without a reason")
        if not isinstance(answer, (Skip, Supported)):
            raise Violation(f"{ability} answers {answer!r}, neither Supported nor Skip")


def _empty(spec: MethodSpec, adapter: Adapter) -> str | None:
    if isinstance(adapter.locate, Skip):
        return adapter.locate.reason
    with tempfile.TemporaryDirectory() as name:
        empty = Path(name) / "run"
        empty.mkdir()
        for folder in (empty, Path(name) / "absent"):
            try:
                found = adapter.locate(folder, "self") if adapter.locate else by_pattern(spec, folder, "self")
            except UserError as error:
                if "\n" in str(error):
                    raise Violation(f"the message has several lines: {error}") from None
            except Exception as error:
                raise Violation(f"{type(error).__name__} instead of a UserError: {error}") from None
            else:
                _refuse(found)
        if any(empty.iterdir()):
            raise Violation("it writes into the folder that it reads")
    return None


def _refuse(found: Sequence[Native]) -> None:
    raise Violation(f"it claims to find {len(found)} outputs where there are none")


def _predicts(spec: MethodSpec, adapter: Adapter) -> str | None:
    if isinstance(adapter.run, Skip):
        return adapter.run.reason
    if isinstance(adapter.run, Recipe):
        return "its own code does, in its own environment"
    from baselines.sample import sample_subject

    with tempfile.TemporaryDirectory() as name:
        subject = sample_subject(Path(name) / "sample")
        before = _listing(subject.root)
        digests = [_predict_once(spec, adapter.run, subject, Path(name) / f"out{k}") for k in range(2)]
        if digests[0] != digests[1]:
            raise Violation("two runs on the same subject differ")
        if _listing(subject.root) != before:
            raise Violation("it writes into the subject folder")
    return None


def _options(adapter: Adapter) -> str | None:
    if isinstance(adapter.train, Skip):
        return adapter.train.reason
    from baselines.training_check import check_options

    check_options(adapter.train, Violation)
    return None


def _trains(adapter: Adapter) -> str | None:
    if isinstance(adapter.train, Skip):
        return adapter.train.reason
    from baselines.training_check import check_training

    with tempfile.TemporaryDirectory() as name:
        try:
            return check_training(adapter.train, Path(name), Violation)
        except UserError as error:
            raise Violation(str(error)) from None


def _predict_once(spec: MethodSpec, predict: Predict, subject: Subject, out: Path) -> str:
    from d3talker.people.media.predictions import Predictions

    test = subject.frames("val")[:-1]
    try:
        predict(subject, subject.frames("train")[:40], test, out)
        done = Predictions(out)
        done.verify()
        shapes, digest = set(), hashlib.sha256()  # of the pixels: a container holds random identifiers
        for frame in done.frames():
            shapes.add(frame.shape)
            digest.update(frame.tobytes())
    except Exception as error:
        raise Violation(f"{type(error).__name__}: {error}") from None
    manifest = done.manifest
    facts = (manifest.method, manifest.subject, manifest.setting, manifest.frames, manifest.first_img_id)
    expected = (spec.name, subject.name, "self", len(test), test[0].img_id)
    if facts != expected:
        raise Violation(f"the manifest says {facts}, expected {expected}")
    if shapes != {(*subject.size, 3)}:
        raise Violation(f"the frames have the sizes {sorted(shapes)}, the subject {subject.size}")
    if done.audio() is None:
        raise Violation("the predictions have no sound")
    return digest.hexdigest()


def _listing(root: Path) -> list[tuple[str, int, int]]:
    return sorted((str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in root.rglob("*"))
