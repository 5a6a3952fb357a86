"""CUDA graphs, as far as they can be tested without CUDA: recorded once a shape, refused without harm, off when asked."""

from __future__ import annotations

import pytest
import torch

from d3talker.learning import graphs
from d3talker.learning.graphs import Replayed


class Recorder:
    """Stands for `graphs.capture`: outputs keep their memory, a replay fills it."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def __call__(self, function):
        self.recorded += 1
        outputs = function()

        def replay() -> None:
            self.replayed += 1
            for kept, made in zip(outputs, function()):
                kept.copy_(made)

        return outputs, replay


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    made = Recorder()
    monkeypatch.setattr(graphs, "capture", made)
    monkeypatch.setattr(graphs, "wanted", lambda device: True)
    return made


def double(x: torch.Tensor) -> tuple[torch.Tensor]:
    return (2 * x,)


def test_on_the_cpu_it_just_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "capture", None)
    x = torch.ones(3)
    assert Replayed(double)(x)[0].tolist() == [2, 2, 2]
    module = torch.nn.Linear(2, 2)
    assert graphs.trainable(module, (torch.ones(2),)) is module


def test_recorded_once_a_shape_and_fed_anew(recorder: Recorder) -> None:
    run = Replayed(double)
    for value in (1.0, 5.0, 7.0):
        assert run(torch.full((3,), value))[0].tolist() == [2 * value] * 3
    assert (recorder.recorded, recorder.replayed) == (1, 3)
    assert run(torch.ones(4))[0].shape == (4,) and recorder.recorded == 2


def test_a_card_that_refuses_runs_launch_by_launch_and_says_so_once(recorder: Recorder, monkeypatch, capfd) -> None:
    def refusing(function):
        raise RuntimeError("operation not permitted\nwhen stream is capturing")

    monkeypatch.setattr(graphs, "capture", refusing)
    run = Replayed(double)
    for _ in range(2):
        assert run(torch.ones(2))[0].tolist() == [2, 2]
    assert capfd.readouterr().err.count("CUDA graphs are not used: operation not permitted when stream is capturing") == 1
    module = torch.nn.Linear(2, 2)
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", lambda *_, **__: refusing(None))
    assert graphs.trainable(module, (torch.ones(2),)) is module


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_card_a_recording_gives_what_launches_give() -> None:
    """Values, gradients, and a replay after the parameters have changed in place."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3)).cuda()
    samples = torch.randn(5, 8, device="cuda"), torch.randn(5, 8, device="cuda")
    plain = Replayed(lambda x: (module(x),))
    run = graphs.trainable(module, samples[:1])
    for x in samples:
        parameters = list(module.parameters())
        want = torch.nn.functional.linear(torch.relu(torch.nn.functional.linear(x, *parameters[:2])), *parameters[2:])
        wanted = torch.autograd.grad(want.square().sum(), parameters)
        got = run(x)
        torch.testing.assert_close(got, want)
        for a, b in zip(torch.autograd.grad(got.square().sum(), parameters), wanted):
            torch.testing.assert_close(a, b)
        torch.testing.assert_close(plain(x)[0], want)
        with torch.no_grad():
            for parameter in parameters:
                parameter.add_(0.1)


@pytest.mark.parametrize(("value", "on"), [(None, True), ("on", True), ("off", False)])
def test_the_environment_turns_them_off(monkeypatch: pytest.MonkeyPatch, value: str | None, on: bool) -> None:
    monkeypatch.delenv(graphs.ENVIRONMENT, raising=False)
    if value is not None:
        monkeypatch.setenv(graphs.ENVIRONMENT, value)
    assert graphs.wanted(torch.device("cuda")) == on and not graphs.wanted(torch.device("cpu"))
