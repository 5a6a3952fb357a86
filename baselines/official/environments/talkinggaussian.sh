#!/usr/bin/env bash
# TalkingGaussian: checkout at the pinned commit, and its environment, from its own readme (PyTorch 1.12.1, CUDA 11.3).
# Usage: bash talkinggaussian.sh FOLDER     Not run by us: it needs conda, a CUDA GPU and the network.
set -euo pipefail
git clone https://github.com/Fictionarry/TalkingGaussian "$1"
cd "$1"
git checkout 9bd34f732e30cd94c0a9a087a125d2dda228e258
git submodule update --init --recursive
conda env create --file environment.yml
conda run -n talking_gaussian pip install "git+https://github.com/facebookresearch/pytorch3d.git"
