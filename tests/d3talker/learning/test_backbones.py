"""Feature stacks against torchvision's own, with the same random weights."""

from __future__ import annotations

import pytest
import torch

from d3talker.errors import UserError
from d3talker.learning.backbones import SMALLEST, STACKS, Backbone, pretrained


@pytest.mark.parametrize("name", STACKS)
def test_taps_equal_torchvision(name, torchvision, tmp_path):
    builder = {"alexnet": "alexnet", "vgg16": "vgg16", "squeezenet": "squeezenet1_1"}[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        official = getattr(torchvision.models, builder)(weights=None).eval()
    torch.save(official.state_dict(), tmp_path / "w.pth")
    backbone = Backbone(name).load(tmp_path / "w.pth")
    images = torch.rand(2, 3, 64, 80, generator=torch.Generator().manual_seed(1))
    x = (images - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    expected = {}
    for number, layer in enumerate(official.features):
        x = layer(x)
        expected[number] = x.clone()  # the next ReLU works in place
    outputs = backbone(images)
    assert len(outputs) == len(backbone.taps)
    for tap, output in zip(backbone.taps, outputs):
        torch.testing.assert_close(output, expected[tap], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", STACKS)
def test_smallest_image_is_the_smallest(name):
    side = SMALLEST[name]
    assert all(tap.shape[0] == 1 for tap in Backbone(name)(torch.rand(1, 3, side, side)))
    with pytest.raises(UserError, match=f"{side} px"):
        Backbone(name)(torch.rand(1, 3, side - 1, 64))


def test_gradients_reach_the_image_but_not_the_weights():
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    backbone = Backbone("alexnet")
    sum(tap.sum() for tap in backbone(image)).backward()
    assert image.grad.abs().sum() > 0 and all(p.grad is None for p in backbone.parameters())


def test_a_foreign_file_is_refused(tmp_path):
    torch.save(Backbone("alexnet").state_dict(), tmp_path / "alexnet.pth")
    with pytest.raises(UserError, match="vgg16's convolutions"):
        Backbone("vgg16").load(tmp_path / "alexnet.pth")


@pytest.mark.shared
def test_real_files_load(shared_data):
    for name in ("alexnet", "squeezenet"):
        assert not pretrained(name, shared_data / "weights").training
