"""The pass that a graph can hold gives what the talker itself gives, values and gradients."""

from __future__ import annotations

import pytest
import torch

from d3talker.graphics.gaussians import Gaussians
from d3talker.graphics.options import REGIONS
from d3talker.method.field_pass import FieldPasses

from .test_fields import signals, talker


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("ablation", [{}, {"fields": "general"}, {"control": "audio"}, {"attributes": "all"}])
def test_equals_the_talker(region, ablation: dict[str, str]) -> None:
    model, given = talker(**ablation), signals()
    passed = FieldPasses(model, region, shared="fields" not in ablation)(given)
    encoded, anchors = model.encode(given), model.anchors(region)
    wanted = model.by_fields(region, encoded, anchors)
    assert list(passed.parts) == list(wanted)
    for name, part in wanted.items():
        for ours, theirs in zip(passed.parts[name], part):
            assert (ours is None and theirs is None) or torch.equal(ours, theirs)
    if passed.shared:
        attention, signal, eyes = passed.shared
        assert torch.equal(attention, anchors["individual"].attention) and torch.equal(signal, encoded["individual"])
        assert torch.equal(eyes, encoded["eyes"])
    sum(part.means.square().sum() for part in passed.parts.values()).backward()
    taught = [p.grad is not None for part in model.general.encoders() for p in part.parameters()]
    assert any(taught) == (region == "face")  # the mouth does not teach the encoders
    assert model.gaussians(region).means.grad is None


def test_follows_gaussians_that_were_made_anew() -> None:
    model, given = talker(), signals()
    passes = FieldPasses(model, "face")
    before = passes(given).parts["general"].means
    first = passes._pass
    assert passes(given) and passes._pass is first
    means = (torch.rand(31, 3) - 0.5) * 0.2
    model.identity.gaussians["face"] = Gaussians(means, torch.full((31, 3), 0.01), 1)
    after = passes(given).parts["general"].means
    assert before.shape == (20, 3) and after.shape == (31, 3) and passes._pass is not first
