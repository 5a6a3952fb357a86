"""Similarity contrastive loss of the dual-branch fields (paper 3.3)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from d3talker.learning.losses import STILL


def similarity_contrast(general: Tensor, individuals: Tensor, own: int, temperature: float) -> Tensor:
    """L_SC(k) (eq. 10): pull Delta mu_G to the own Individual Field's Delta mu, away from the others'.

    general [N, 3]; individuals: Delta mu of every identity's Individual Field [K, N, 3], queried with identity k's audio feature;
    own = k.  The similarity is the mean over Gaussians of the cosine.
    """
    similarities = F.cosine_similarity(general, individuals, dim=-1, eps=STILL).mean(-1)
    return -F.log_softmax(similarities / temperature, 0)[own]
