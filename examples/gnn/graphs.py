"""The two graphs of the example: Zachary's karate club, and communities drawn by a documented generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# W. W. Zachary, "An Information Flow Model for Conflict and Fission in Small Groups", 1977: who met whom outside of the
# club. Member → later members it is tied to, counted from 1; and the members that stayed with the instructor.
TIES = {
    1: [2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 18, 20, 22, 32],
    2: [3, 4, 8, 14, 18, 20, 22, 31],
    3: [4, 8, 9, 10, 14, 28, 29, 33],
    4: [8, 13, 14],
    5: [7, 11],
    6: [7, 11, 17],
    7: [17],
    9: [31, 33, 34],
    10: [34],
    14: [34],
    15: [33, 34],
    16: [33, 34],
    19: [33, 34],
    20: [34],
    21: [33, 34],
    23: [33, 34],
    24: [26, 28, 30, 33, 34],
    25: [26, 28, 32],
    26: [32],
    27: [30, 34],
    28: [34],
    29: [32, 34],
    30: [33, 34],
    31: [33, 34],
    32: [33, 34],
    33: [34],
}
WITH_INSTRUCTOR = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 17, 18, 20, 22}


@dataclass
class Graph:
    """features [nodes, width], edges [2, count] (source, target; both directions), labels [nodes], and which nodes'
    labels training may see."""

    features: np.ndarray
    edges: np.ndarray
    labels: np.ndarray
    seen: np.ndarray


def karate_club() -> Graph:
    """34 members, 78 ties; features are one-hot. Training sees the sides of the instructor and of the president alone."""
    ties = np.array([(a - 1, b - 1) for a, others in TIES.items() for b in others]).T
    labels = np.array([0 if member in WITH_INSTRUCTOR else 1 for member in range(1, 35)])
    seen = np.zeros(34, bool)
    seen[[0, 33]] = True
    edges = np.concatenate([ties, ties[::-1]], axis=1).astype(np.int64)
    return Graph(np.eye(34, dtype=np.float32), edges, labels, seen)


def communities(nodes: int = 3000, classes: int = 6, width: int = 16, ties: int = 15000, seed: int = 11) -> Graph:
    """A degree-corrected block model. Every node has a class drawn evenly and a popularity drawn from a Pareto law of
    shape 2.5, cut at 30; a tie joins two nodes drawn by popularity, of the same class with probability 0.75, of any
    class otherwise. Features are the class's own direction plus noise twice as long. One node in ten shows its label."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, nodes)
    popularity = np.minimum(1 + random.pareto(2.5, nodes), 30)
    first = random.choice(nodes, ties, p=popularity / popularity.sum())
    second = random.choice(nodes, ties, p=popularity / popularity.sum())
    for label in range(classes):
        members = np.flatnonzero(labels == label)
        chosen = np.flatnonzero((labels[first] == label) & (random.random(ties) < 0.75))
        weights = popularity[members] / popularity[members].sum()
        second[chosen] = random.choice(members, len(chosen), p=weights)
    edges = np.stack([np.concatenate([first, second]), np.concatenate([second, first])]).astype(np.int64)
    directions = np.linalg.qr(random.standard_normal((width, width)))[0][:classes]
    noise = random.standard_normal((nodes, width)) * 2 / np.sqrt(width)
    features = (directions[labels] + noise).astype(np.float32)
    return Graph(features, edges, labels, random.random(nodes) < 0.1)
