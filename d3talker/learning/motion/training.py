"""Training of an audio-to-motion model: speakers' lags, its score on those it never heard, and the model on all of them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from d3talker import checkpoint
from d3talker.errors import UserError
from d3talker.files import read_json, sha256_json, write_json
from d3talker.learning.motion.data import Speaker
from d3talker.learning.motion.network import train_network
from d3talker.learning.motion.scores import NAMES, Score, by_sound, evaluate, mean
from d3talker.people.head.embedded import embedded_head
from d3talker.people.motion.lips import LipSpace, lip_basis, opening
from d3talker.people.motion.model import CHECKPOINT, Ears, MotionModel
from d3talker.people.motion.options import TrainingConfig
from d3talker.people.motion.temporal import MotionNetwork
from d3talker.progress import Bar, say

PARTS = ".parts"
KEPT = {"phonemes": 24}  # principal components of what is heard
FARTHEST = 8  # frames that sound may be early or late
SURE = 0.08  # that the correlation gains by a shift, or it is left alone
LONG = 250  # frames of a clip that tell its own lag; shorter ones have their speaker's


class MotionTraining:
    """One training: every network of it is a part of its own, so that an interrupted one goes on at the network it was at."""

    def __init__(self, config: TrainingConfig, speakers: Sequence[Speaker], out: Path, seed: int) -> None:
        self.config, self.speakers, self.out, self.seed = config, list(speakers), out, seed
        there = set(speakers[0].pieces[0].heard)
        self.kinds = [kind for text in config.inputs if set(kind := tuple(text.split("+"))) <= there]
        if not self.kinds:
            raise UserError(f"--training.inputs {' '.join(config.inputs)}: the sounds have {', '.join(sorted(there))} alone")
        self.groups = folds([len(speaker) for speaker in speakers], config.folds)
        self.job = {
            "config": asdict(config), "seed": seed, "hears": ["+".join(kind) for kind in self.kinds],
            "speakers": {s.name: s.digest() for s in speakers},
        }

    def run(self) -> tuple[MotionModel, dict[str, Any]]:
        """Train what is left; returns the model of all speakers and the scores, which are written beside it."""
        claim = self.out / PARTS / "job.json"
        if claim.exists():
            checkpoint.check_job(claim, read_json(claim), self.job)
        elif (self.out / CHECKPOINT).exists():
            state = checkpoint.load(self.out / CHECKPOINT)
            checkpoint.check_job(self.out / CHECKPOINT, state["training"], self.job)
            return MotionModel.load(self.out), read_json(self.out / "scores.json")
        write_json(claim, self.job)
        crossed = len(self.groups) if len(self.speakers) > 1 else 0
        networks = len(self.kinds) * self.config.seeds
        with Bar("networks", crossed * (self.config.lags + networks) + networks) as self.bar:
            if self.config.lags and crossed:
                self._correct_lags()
            scores = self._cross_validate() if crossed else {}
            model = self._model("all", range(len(self.speakers)), self.kinds)
        result = self._result(scores)
        write_json(self.out / "scores.json", result)
        checkpoint.save(self.out / CHECKPOINT, {**model.state(), "training": self.job})
        shutil.rmtree(self.out / PARTS)
        return MotionModel.load(self.out), result

    def _correct_lags(self) -> None:
        """Shift the sound of speakers, and of long clips, that networks which never heard them say is early or late."""
        corrected = list(self.speakers)
        for number, group in enumerate(self.groups):
            model = self._model(f"lag-{number}", self._others(group), self.kinds[:1], seeds=1)
            for index in group:
                corrected[index] = corrected_lags(model, self.speakers[index])
        self.speakers = corrected

    def _cross_validate(self) -> dict[str, Score]:
        found: dict[str, Score] = {}
        for number, group in enumerate(self.groups):
            model = self._model(f"fold-{number}", self._others(group), self.kinds)
            found |= evaluate(model, [self.speakers[index] for index in group])
        return {speaker.name: found[speaker.name] for speaker in self.speakers}

    def _others(self, group: Sequence[int]) -> list[int]:
        return [index for index in range(len(self.speakers)) if index not in group]

    def _model(self, stage: str, rows: Sequence[int], kinds: Sequence[tuple[str, ...]], seeds: int = 0) -> MotionModel:
        """Networks of each kind trained on some speakers, or found trained before."""
        speakers = [self.speakers[index] for index in rows]
        ears = Ears.of([speaker.heard for speaker in speakers], KEPT)
        space = LipSpace.of([s.moves for s in speakers], [s.mean for s in speakers], self.config.components)
        networks = []
        for kind in kinds:
            for number in range(seeds or self.config.seeds):
                networks.append((kind, self._network(f"{stage}-{'+'.join(kind)}-{number}", speakers, kind, ears, space)))
                self.bar.step(status=stage)
        videos = sorted({piece.video for speaker in speakers for piece in speaker.pieces if piece.video})
        return MotionModel(networks, self.config.network, ears, space, tuple(s.name for s in speakers), tuple(videos))

    def _network(
        self, name: str, speakers: Sequence[Speaker], kind: tuple[str, ...], ears: Ears, space: LipSpace
    ) -> MotionNetwork:
        path = self.out / PARTS / f"{name}.safetensors"
        if path.exists():
            with checkpoint.usable(path):
                weights = checkpoint.load(path)["weights"]
                network = MotionNetwork(weights["inlet.0.weight"].shape[1], self.config.components, self.config.network)
                network.load_state_dict(weights)
                return network.eval()
        seed = int(sha256_json([self.seed, name])[:8], 16)
        network = train_network(speakers, kind, ears, space, self.config, seed)
        checkpoint.save(path, {"weights": network.state_dict()})
        return network

    def _result(self, scores: dict[str, Score]) -> dict[str, Any]:
        languages = {speaker.name: speaker.language or "unknown" for speaker in self.speakers}
        by_language = {
            language: {"speakers": len(rows), **mean(rows)} for language in sorted(set(languages.values()))
            if (rows := [scores[name] for name in scores if languages[name] == language])
        }
        return {
            "trained_on": [speaker.name for speaker in self.speakers], "mean": mean(list(scores.values())),
            "reason": None if scores else "a single speaker cannot be scored on others",
            "by_language": by_language,
            "speakers": {
                s.name: {
                    "language": s.language, "clips": len(s.pieces), "seconds": round(len(s) / 25, 1),
                    "lags": sorted({piece.lag for piece in s.pieces}), **scores.get(s.name, dict.fromkeys(NAMES)),
                }
                for s in self.speakers
            },
        }


def folds(frames: Sequence[int], groups: int) -> list[list[int]]:
    """Speakers in groups of about as many frames: the longest first, each to the group that has least; 0 = one a group."""
    if groups == 0 or groups >= len(frames):
        return [[index] for index in range(len(frames))]
    if groups < 2:
        raise UserError(f"--training.folds is {groups}; give at least 2, or 0 for one a speaker")
    found: list[list[int]] = [[] for _ in range(groups)]
    totals = np.zeros(groups)
    for index in np.argsort([-count for count in frames], kind="stable"):
        least = int(totals.argmin())
        found[least].append(int(index))
        totals[least] += frames[index]
    return [sorted(group) for group in found]


def corrected_lags(model: MotionModel, speaker: Speaker) -> Speaker:
    """The speaker with sound moved to where a model that never heard them follows the lips best, if that is clear.

    Clips of 10 s and more each by their own, the rest of a speaker's together.
    """
    openings = [moves @ lip_basis(embedded_head()) @ opening() for moves in by_sound(model, speaker)]
    long = [index for index, piece in enumerate(speaker.pieces) if len(piece.seen) >= LONG]
    short = [index for index in range(len(speaker.pieces)) if index not in long]
    pieces = list(speaker.pieces)
    for group in ([index] for index in long):
        _shift(pieces, group, openings)
    if short:
        _shift(pieces, short, openings)
    return replace(speaker, pieces=tuple(pieces))


def _shift(pieces: list[Any], group: Sequence[int], openings: Sequence[np.ndarray]) -> None:
    lag, _ = best_lag([(openings[i], pieces[i].moves @ lip_basis(embedded_head()) @ opening(), pieces[i].seen) for i in group])
    if lag:
        say(f"sound {abs(lag)} frames {'late' if lag > 0 else 'early'}")
        for index in group:
            pieces[index] = pieces[index].shifted(lag)


def best_lag(clips: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> tuple[int, float]:
    """By how many frames predicted openings [T] come after the tracked [T], where seen [T]: (lag, what r gains); 0 where unsure."""
    curve = np.full(2 * FARTHEST + 1, -1.0)
    for number, lag in enumerate(range(-FARTHEST, FARTHEST + 1)):
        ours, theirs = [], []
        for predicted, tracked, seen in clips:
            here = np.arange(FARTHEST, len(seen) - FARTHEST)
            here = here[seen[here]]
            if len(here) > 2:
                ours.append(predicted[here + lag] - predicted[here + lag].mean())
                theirs.append(tracked[here] - tracked[here].mean())
        if ours:
            a, b = np.concatenate(ours), np.concatenate(theirs)
            if min(a.std(), b.std()) > 1e-9:
                curve[number] = float((a * b).mean() / (a.std() * b.std()))
    best = int(curve.argmax())
    gain = float(curve[best] - curve[FARTHEST])
    return (best - FARTHEST, gain) if gain > SURE else (0, gain)
