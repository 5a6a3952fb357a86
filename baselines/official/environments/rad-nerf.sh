#!/usr/bin/env bash
# RAD-NeRF: checkout at the pinned commit, and its environment, from its own readme (PyTorch 1.12, CUDA 11.6).
# Usage: bash rad-nerf.sh FOLDER     Not run by us: it needs conda, a CUDA GPU and the network.
set -euo pipefail
git clone https://github.com/ashawkey/RAD-NeRF "$1"
cd "$1"
git checkout 0de5ed2
conda create -y -n radnerf python=3.9
conda install -y -n radnerf pytorch==1.12.1 torchvision==0.13.1 cudatoolkit=11.6 -c pytorch -c conda-forge
conda run -n radnerf pip install -r requirements.txt
conda run -n radnerf bash scripts/install_ext.sh
