#!/usr/bin/env bash
# InsTaG: checkout at the pinned commit, and its environment, from its own readme (PyTorch 1.12.1 / 1.13.1, CUDA 11.3 / 11.7).
# Usage: bash instag.sh FOLDER     Not run by us: it needs conda, a CUDA GPU and the network.
set -euo pipefail
git clone https://github.com/Fictionarry/InsTaG "$1"
cd "$1"
git checkout 42f68f8
git submodule update --init --recursive
conda env create --file environment.yml
conda run -n instag pip install "git+https://github.com/facebookresearch/pytorch3d.git"
# chkpnt_ema_face_latest.pth and chkpnt_ema_mouth_latest.pth of the DeepSpeech pre-training, for --weights: link in its readme
