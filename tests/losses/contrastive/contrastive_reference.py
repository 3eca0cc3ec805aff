"""The published formulas, term by term in float64; every sample has a label here."""

import numpy as np


def unit(z):
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def circular(a, b, period):
    return min((a - b) % period, (b - a) % period)


def supcon(z, y, w, likeness, temperature=0.1):
    z = unit(z)
    losses = []
    for i in range(len(y)):
        others = [j for j in range(len(y)) if j != i]
        total = sum(likeness(y[i], y[j]) for j in others)
        if total == 0:
            continue
        denominator = sum(np.exp(z[i] @ z[a] / temperature) for a in others)
        loss = 0.0
        for j in others:
            log_p = z[i] @ z[j] / temperature - np.log(denominator)
            loss -= likeness(y[i], y[j]) / total * log_p
        losses.append(w[i] * loss)
    return np.mean(losses) if losses else 0.0


def nt_xent(z, y, w, temperature=0.07):
    z = unit(z)
    losses = []
    for i in range(len(y)):
        negatives = sum(np.exp(z[i] @ z[k] / temperature) for k in range(len(y)) if y[k] != y[i])
        for p in range(len(y)):
            if p != i and y[p] == y[i]:
                own = np.exp(z[i] @ z[p] / temperature)
                losses.append(-w[i] * np.log(own / (own + negatives)))
    return np.mean(losses) if losses else 0.0


def triplet(z, y, w, margin=0.2):
    z = unit(z)
    losses = []
    for a in range(len(y)):
        for p in range(len(y)):
            for n in range(len(y)):
                if a != p and y[a] == y[p] and y[a] != y[n]:
                    gap = np.linalg.norm(z[a] - z[n]) - np.linalg.norm(z[a] - z[p])
                    if 0 < gap <= margin:
                        losses.append(w[a] * (margin - gap))
    return np.mean(losses) if losses else 0.0


def multi_similarity(z, y, w, alpha=2.0, beta=50.0, base=0.5):
    z = unit(z)
    losses = []
    for i in range(len(y)):
        pull = push = 0.0
        for j in range(len(y)):
            if j != i and y[j] == y[i]:
                pull += np.exp(-alpha * (z[i] @ z[j] - base))
            elif j != i:
                push += np.exp(beta * (z[i] @ z[j] - base))
        losses.append(w[i] * (np.log(1 + pull) / alpha + np.log(1 + push) / beta))
    return np.mean(losses)


def rank_n_contrast(z, y, w, distance, temperature=2.0):
    def similarity(i, j):
        return np.exp(-np.linalg.norm(z[i] - z[j]) / temperature)

    losses = []
    n = len(y)
    for i in range(n):
        loss = 0.0
        for j in range(n):
            if j != i:
                farther = [
                    k for k in range(n) if k != i and distance(y[i], y[k]) >= distance(y[i], y[j])
                ]
                loss -= np.log(similarity(i, j) / sum(similarity(i, k) for k in farther))
        losses.append(w[i] * loss / (n - 1))
    return np.mean(losses)


def softmax_loss(logits, y, w):
    losses = [-w[i] * np.log(np.exp(row[y[i]]) / np.exp(row).sum()) for i, row in enumerate(logits)]
    return np.mean(losses)


def cos_face(cosines, y, w, margin=0.35, scale=30.0):
    return softmax_loss(scale * (cosines - margin * np.eye(cosines.shape[1])[y]), y, w)


def arc_face(cosines, y, w, degrees=28.6, scale=30.0):
    logits = scale * cosines
    margin = np.deg2rad(degrees)
    for i, label in enumerate(y):
        theta = np.arccos(cosines[i, label])
        if theta <= np.pi - margin:
            logits[i, label] = scale * np.cos(theta + margin)
        else:
            logits[i, label] = scale * (np.cos(theta) - margin * np.sin(margin))
    return softmax_loss(logits, y, w)


def proxy_anchor(cosines, y, w, margin=0.1, alpha=32.0):
    pull, push = [], []
    for k in range(cosines.shape[1]):
        own, other = 0.0, 0.0
        for x in range(len(y)):
            if y[x] == k:
                own += w[x] * np.exp(-alpha * (cosines[x, k] - margin))
            else:
                other += w[x] * np.exp(alpha * (cosines[x, k] + margin))
        if k in y:
            pull.append(np.log(1 + own))
        push.append(np.log(1 + other))
    return np.mean(pull) + np.mean(push)


def soft_triple(cosines, y, w, proxies=3, scale=20.0, gamma=0.1, margin=0.01):
    logits = []
    for i, row in enumerate(cosines):
        similarities = []
        for k in range(len(row) // proxies):
            own = row[k * proxies : (k + 1) * proxies]
            share = np.exp(own / gamma) / np.exp(own / gamma).sum()
            similarities.append(share @ own - margin * (y[i] == k))
        logits.append(scale * np.array(similarities))
    return softmax_loss(logits, y, w)
