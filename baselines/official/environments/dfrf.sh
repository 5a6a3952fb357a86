#!/usr/bin/env bash
# DFRF: checkout at the pinned commit, and its environment, from its own readme (Python 3.8, PyTorch 1.9, PyTorch3D 0.5).
# Usage: bash dfrf.sh FOLDER     Not run by us: it needs conda, a CUDA GPU and the network.
set -euo pipefail
git clone https://github.com/sstzal/DFRF "$1"
cd "$1"
git checkout 2c7bd69ce2453a08c4f7b4ebcf96faa0a82a6af0
conda create -y -n dfrf python=3.8
conda install -y -n dfrf pytorch==1.9.0 torchvision==0.10.0 cudatoolkit=11.1 -c pytorch -c nvidia
conda run -n dfrf pip install -r requirements.txt
# base.tar, for --weights: release "Pretrained_Models" of the same repository
