#!/usr/bin/env bash
# GaussianTalker: checkout at the pinned commit, and its environment, from its own readme (Python 3.7, RTX 3090 and A6000).
# Usage: bash gaussiantalker.sh FOLDER     Not run by us: it needs conda, a CUDA GPU and the network.
set -euo pipefail
git clone https://github.com/cvlab-kaist/GaussianTalker "$1"
cd "$1"
git checkout 250fb93
git submodule update --init --recursive
conda create -y -n GaussianTalker python=3.7
conda run -n GaussianTalker pip install -r requirements.txt
conda run -n GaussianTalker pip install -e submodules/custom-bg-depth-diff-gaussian-rasterization
conda run -n GaussianTalker pip install -e submodules/simple-knn
conda run -n GaussianTalker pip install "git+https://github.com/facebookresearch/pytorch3d.git"
conda run -n GaussianTalker pip install --upgrade "protobuf<=3.20.1"
