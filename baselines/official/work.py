"""One run of an official code: plan, check, budget copy, steps, and what is left to do after an interruption."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baselines.adapter import Adapter, Setting, Skip
from baselines.official.process import environment, execute, survivor, tail
from baselines.outputs.locating import by_pattern
from baselines.recipe import Recipe, Step
from baselines.spec import MethodSpec
from d3talker.errors import UserError
from d3talker.files import atomic_folder, read_json, sha256_file, sha256_json, write_json

if TYPE_CHECKING:
    from baselines.official.options import RunConfig
    from d3talker.people.subject.layout import Frame, Subject

STATE_SCHEMA = 1


@dataclass(frozen=True)
class Work:
    """One run of one recipe in one work folder."""

    config: RunConfig
    spec: MethodSpec
    adapter: Adapter
    recipe: Recipe
    subject: Subject
    train: Sequence[Frame]

    @property
    def folder(self) -> Path:
        return self.config.out.resolve()

    @property
    def state_path(self) -> Path:
        return self.folder / "state.json"

    def argv(self, step: Step) -> list[str]:
        """The step's command with every placeholder filled in."""
        python = shutil.which(str(self.config.python))
        values = {
            "python": str(Path(python).absolute() if python else self.config.python),
            "data": str(self.folder / "data" / self.subject.name),
            "run": str(self.folder / "run"), "frames": str(len(self.train)),
            "weights": str(self.config.weights.resolve() if self.config.weights else "WEIGHTS"),
            "features": str(self.config.features.resolve() if self.config.features else "FEATURES"),
            "wav": str(self.config.audio.resolve() if self.config.audio else "AUDIO"),
        }
        return [part.format(**values) for part in step.argv]

    def plan(self) -> list[str]:
        """Everything that would be done, a line each."""
        missing = self.missing()
        script = Path(__file__).parent / "environments" / self.recipe.environment
        return [
            f"method: {self.spec.title}, {self.spec.url} at {self.spec.commit}",
            f"environment: bash {script} CHECKOUT",
            f"data: {self.subject.root} cut to its first {len(self.train)} training frames -> {self.folder / 'data'}",
            *(f"missing: {text}" for text in missing),
            *(f"step {step.name}: {' '.join(self.argv(step))}" for step in self.steps),
            f"time limit: {self.timeout_h:g} h a step",
            *(f"note: {note}" for note in self.recipe.notes),
            f"then: collect {self.folder / 'run' / self.recipe.outputs} -> {self.folder / 'predictions'}",
        ]

    @property
    def timeout_h(self) -> float:
        return self.recipe.timeout_h if self.config.timeout_h is None else self.config.timeout_h

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps: those of the recipe, and of the cross-driven clip where a sound was given."""
        return self.recipe.steps + (self.recipe.cross if self.config.audio else ())

    def missing(self) -> list[str]:
        """What is not there: files of the subject, weights, features, the checkout, the interpreter."""
        root, found = self.subject.root, []
        for path, name in ((self.config.audio, "--audio"), (self.config.features, "--features")):
            if self.config.audio and (path is None or not path.is_file()):
                found.append(f"{name} for the cross-driven clip ({path or 'not given'})")
        for need in self.recipe.needs:
            if next(root.glob(need.pattern), None) is None:
                found.append(f"{root / need.pattern} (make it with {need.how})")
        for name in self.recipe.weights:
            if self.config.weights is None or not (self.config.weights / name).is_file():
                found.append(f"{name} in --weights (from {self.spec.url})")
        if self.config.code is None or not self.config.code.is_dir():
            found.append(f"--code, a checkout of {self.spec.url} at {self.spec.commit}")
        if shutil.which(str(self.config.python)) is None:
            found.append(f"--python, the interpreter of its environment ({self.config.python} is none)")
        return found

    def check(self) -> None:
        """Raises UserError naming everything that is missing, or a checkout at another commit."""
        missing = self.missing()
        if missing:
            raise UserError(f"{self.spec.title} cannot run yet; it needs " + "; ".join(missing))
        if not self.config.any_commit:
            head = commit_of(self.config.code)  # type: ignore[arg-type]
            if not head.startswith(self.spec.commit):
                raise UserError(
                    f"{self.config.code} is at commit {head[:7] or 'unknown'}, the recipe is for {self.spec.commit}; "
                    "check that out, or give --any-commit"
                )

    def execute(self) -> None:
        """Make the budget copy, then every step that is not done or whose output has gone."""
        state = self._state()
        left = survivor(self.folder / "pid")
        if left is not None:
            pid = self.folder / "pid"
            raise UserError(f"process group {left} of an earlier call still works here; end it, or delete {pid}")
        if not state["data"]:
            with atomic_folder(self.folder / "data") as folder:
                state["notes"] = self.recipe.copier()(self.subject, self.train, folder / self.subject.name)
            state["data"] = True
            write_json(self.state_path, state)
        (self.folder / "run").mkdir(exist_ok=True)
        for step in self.recipe.steps:
            if step.name in state["steps"] and not self._absent(step):
                continue
            began, attempt = _now(), state["attempts"].get(step.name, 0) + 1
            state["attempts"][step.name] = attempt
            write_json(self.state_path, state)
            seconds = self._step(step)
            state["steps"][step.name] = {"seconds": seconds, "started": began, "ended": _now(), "train": step.train}
            write_json(self.state_path, state)

    def cross(self, test: Sequence[Frame]) -> Path:
        """Render the finished model with --audio; its predictions folder, which is made but once for each sound."""
        from d3talker.people.media.predictions import is_predictions

        assert self.config.audio is not None
        if not self.recipe.cross:
            raise UserError(f"the recipe of {self.spec.title} takes no sound but the test clip's; leave out --audio")
        state, stem = self._state(), self.config.audio.stem
        out, digest = self.folder / f"predictions-{stem}", sha256_file(self.config.audio)
        if state["sounds"].setdefault(stem, digest) != digest:
            raise UserError(f"{out} was driven by another sound of that name; rename {self.config.audio}")
        write_json(self.state_path, state)
        if not is_predictions(out):
            for step in self.recipe.cross:
                self._step(step)
            self.collect(test, out, "cross")
        return out

    def _step(self, step: Step) -> float:
        log, where = self.folder / "logs" / f"{step.name}.log", f"{self.spec.title}, step {step.name},"
        assert self.config.code is not None
        places = [other.name for other in self.steps]
        progress = f"{self.spec.name} {places.index(step.name) + 1}/{len(places)} {step.name}"
        print(f"{progress}: {' '.join(self.argv(step))}", flush=True)
        try:
            ended = execute(
                self.argv(step), cwd=self.config.code, env=environment(self.config.gpu), log=log,
                timeout_s=self.timeout_h * 3600, pid=self.folder / "pid",
            )
        except OSError as error:
            raise UserError(f"{where} cannot be started: {error}") from None
        if ended.code is None:
            raise UserError(f"{where} was stopped after {self.timeout_h:g} h; see {log}, or give a larger --timeout-h")
        if ended.code != 0:
            how = f"exit code {ended.code}" if ended.code > 0 else f"signal {-ended.code}"
            raise UserError(f"{where} failed with {how} after {ended.seconds:.0f} s; see {log}: {tail(log)}")
        absent = self._absent(step)
        if absent:
            raise UserError(f"{where} ended without writing {absent[0]}; see {log}: {tail(log)}")
        return ended.seconds

    def _absent(self, step: Step) -> list[str]:
        run_folder = self.folder / "run"
        return [pattern for pattern in step.produces if next(run_folder.glob(pattern), None) is None]

    def _state(self) -> dict[str, Any]:
        key = sha256_json([
            self.spec.name, self.spec.commit, self.subject.data_hash, [f.img_id for f in self.train],
            [step.argv for step in self.recipe.steps],
        ])
        fresh: dict[str, Any] = {
            "schema_version": STATE_SCHEMA, "key": key, "data": False, "notes": [], "steps": {}, "attempts": {},
            "sounds": {},
        }
        if not self.state_path.exists():
            return fresh
        state = read_json(self.state_path)
        if not isinstance(state, dict) or state.get("key") != key or set(state) != set(fresh):
            raise UserError(f"{self.folder} holds a run of another method, subject, budget or recipe; give another out")
        return state

    def collect(self, test: Sequence[Frame], out: Path, setting: Setting = "self") -> None:
        """Turn the run's native output into a predictions folder, with its training time and footnotes."""
        from baselines.outputs.collecting import collect
        from d3talker.people.media.predictions import Timing

        state, recipe = read_json(self.state_path), self.recipe
        folder = self.folder / "run" / (recipe.outputs if setting == "self" else recipe.cross_outputs)
        locate = self.adapter.locate
        assert not isinstance(locate, Skip), "a method with a recipe can be located"
        candidates = locate(folder, setting) if locate else by_pattern(self.spec, folder, setting)
        steps = {name: step["seconds"] for name, step in state["steps"].items() if step["train"]}
        repeated = [name for name in steps if state["attempts"][name] > 1]
        notes = [*self.recipe.notes, *state["notes"]]
        if repeated:
            notes.append(f"training was interrupted in {', '.join(repeated)}; its time counts the last attempt alone")
        timing = Timing(train_s=sum(steps.values()), exclusive=not (self.config.shared_machine or repeated))
        collect(
            self.spec, candidates, self.subject, test, out, notes=notes, timing=timing, setting=setting,
            audio=self.config.audio,
        )


def commit_of(code: Path) -> str:
    """The commit of a checkout, read from its .git; "" where it is none."""
    head = code / ".git" / "HEAD"
    if not head.is_file():
        return ""
    text = head.read_text().strip()
    if not text.startswith("ref: "):
        return text
    ref = text.removeprefix("ref: ")
    loose = code / ".git" / ref
    if loose.is_file():
        return loose.read_text().strip()
    packed = code / ".git" / "packed-refs"
    lines = packed.read_text().splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.endswith(" " + ref)), "")


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
