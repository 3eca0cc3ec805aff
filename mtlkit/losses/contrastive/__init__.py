"""Contrastive losses: of embeddings that are compared with each other, or with proxies."""

from mtlkit.losses.contrastive.arc_face import ArcFace
from mtlkit.losses.contrastive.cos_face import CosFace
from mtlkit.losses.contrastive.embedding_loss import EmbeddingLoss
from mtlkit.losses.contrastive.joint import ContrastiveCrossEntropy
from mtlkit.losses.contrastive.multi_similarity import MultiSimilarity
from mtlkit.losses.contrastive.norm_face import NormFace
from mtlkit.losses.contrastive.nt_xent import NTXent
from mtlkit.losses.contrastive.proxy_anchor import ProxyAnchor
from mtlkit.losses.contrastive.proxy_loss import ProxyLoss, ProxySoftmax
from mtlkit.losses.contrastive.rank_n_contrast import RankNContrast
from mtlkit.losses.contrastive.soft_triple import SoftTriple
from mtlkit.losses.contrastive.supervised_contrastive import SupervisedContrastive
from mtlkit.losses.contrastive.triplet import TripletSemiHard

__all__ = [
    "ArcFace",
    "ContrastiveCrossEntropy",
    "CosFace",
    "EmbeddingLoss",
    "MultiSimilarity",
    "NTXent",
    "NormFace",
    "ProxyAnchor",
    "ProxyLoss",
    "ProxySoftmax",
    "RankNContrast",
    "SoftTriple",
    "SupervisedContrastive",
    "TripletSemiHard",
]
