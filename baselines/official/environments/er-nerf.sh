#!/usr/bin/env bash
# ER-NeRF: checkout at the pinned commit, and its environment, from its own readme (PyTorch 1.12, CUDA 11.3).
# Usage: bash er-nerf.sh FOLDER     Not run by us: it needs conda, a CUDA GPU and the network.
set -euo pipefail
git clone https://github.com/Fictionarry/ER-NeRF "$1"
cd "$1"
git checkout 0cf72d8
conda create -y -n ernerf python=3.10
conda install -y -n ernerf pytorch==1.12.1 torchvision==0.13.1 cudatoolkit=11.3 -c pytorch
conda run -n ernerf pip install -r requirements.txt
conda run -n ernerf pip install "git+https://github.com/facebookresearch/pytorch3d.git"
