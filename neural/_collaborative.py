"""What CVAE and CDL share: a network encodes the content of items, and factors stay near the codes.

Epochs alternate: the network learns with the items' vectors fixed, then least squares find the
vectors of users and items with the codes fixed.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt, Le, Lt
from numpy.typing import NDArray
from pydantic import FiniteFloat
from scipy.sparse import csr_array
from torch import Tensor, nn

from recrepro.compute.memory import require_memory
from recrepro.features import FeatureNames
from recrepro.interactions import Interactions
from recrepro.model import EpochStats
from recrepro.space import Choice, LogUniform

from ._content import Content, Rows, scaled
from ._prior_als import PriorALS
from ._products import SparseMatrix
from ._stages import Stage
from ._training import FactorModel, NeuralConfig


class CollaborativeConfig(NeuralConfig):
    """Hyperparameters that both have."""

    item_features: FeatureNames = "all"
    """Names of the feature sets of items, separated by commas, or "all"."""
    scaling: Literal["feature", "item"] = "feature"
    """Whether values are divided by the largest of their feature, or of their item."""
    n_factors: Annotated[int, Ge(1), Choice(25, 50, 100)] = 50
    """Number of factors, and width of the code."""
    n_hidden: Annotated[int, Ge(1)] = 200
    """Width of the first hidden layer."""
    l2_user: Annotated[FiniteFloat, Gt(0), LogUniform(1e-2, 10.0)] = 0.1
    """Penalty of the users' vectors, lambda_u."""
    l2_item: Annotated[FiniteFloat, Gt(0), LogUniform(1e-1, 1e3)] = 10.0
    """Penalty of the distance of an item's vector from its code, lambda_v."""
    confidence: Annotated[FiniteFloat, Gt(0)] = 1.0
    """Weight of an interaction, a."""
    confidence_unseen: Annotated[FiniteFloat, Ge(0)] = 0.01
    """Weight of every other pair of user and item, b."""
    every_item: bool = True
    """Whether the users' step counts items that nobody has interacted with; in the code, not."""
    n_sweeps: Annotated[int, Ge(1)] = 1
    """Most sweeps of least squares after an epoch of the network."""
    mask: Annotated[FiniteFloat, Ge(0), Lt(1)] = 0.3
    """Share of the inputs that are 0 where a layer learns to undo it."""
    pretraining_share: Annotated[FiniteFloat, Gt(0), Le(1)] = 0.75
    """Share of the items, drawn at random, that layers learn from before the first epoch."""
    batch_size: Annotated[int, Ge(1)] = 128
    """Number of items for one step."""


class CollaborativeNetwork(nn.Module):
    """A network that encodes content, and the vectors of users and items that were found last."""

    users: Tensor
    items: Tensor

    def __init__(self, coder: nn.Module, n_users: int, n_items: int, n_factors: int) -> None:
        super().__init__()
        self.coder = coder
        self.register_buffer("users", torch.zeros(n_users, n_factors, dtype=torch.float64))
        self.register_buffer("items", torch.zeros(n_items, n_factors, dtype=torch.float64))


class CollaborativeModel(FactorModel):
    """A recommender of items with content, trained in turns.

    Attributes
    ----------
    content : csr_array of float32, shape (n_items, n_words)
        Between 0 and 1; it stays sparse.
    squares : PriorALS
        Finds the vectors.
    """

    version = 2
    needs_features = ("item",)
    network: CollaborativeNetwork

    @abstractmethod
    def make_coder(self, n_words: int) -> nn.Module:
        """Make the network that encodes content."""

    @abstractmethod
    def codes(self, rows: SparseMatrix) -> Tensor:
        """Encode content as scoring does, without noise: shape (n, n_factors)."""

    @property
    def coder(self) -> Any:
        """The network that encodes content."""
        return self.network.coder

    def build(self, train: Interactions) -> nn.Module:
        """Make the network, and keep content and interactions for what comes."""
        c = self.config
        self.content = scaled(self.feature_matrix("item", train), of_row=c.scaling == "item")
        weights = c.confidence, c.confidence_unseen, c.l2_user, c.l2_item
        self.squares = PriorALS(train.matrix, *weights, every_item=c.every_item)
        coder = self.make_coder(self.content.shape[1])
        return CollaborativeNetwork(coder, *train.shape, c.n_factors)

    def memory_needed(self, train: Interactions) -> int:
        """Estimate the bytes of parameters, what Adam needs of them, content, outputs, vectors."""
        if self.features is None:
            return 0
        config = self.config
        matrix = self.features.matrix("item", self.feature_names("item"))
        n_words = matrix.shape[1]
        rows = min(config.batch_size, train.n_items)
        numbers = 5 * n_words * config.n_hidden + 2 * rows * n_words + 3 * matrix.nnz
        numbers += 3 * train.n_items * config.n_hidden
        total: int = 4 * (numbers + 8 * sum(train.shape) * config.n_factors)
        return total

    def fit_epochs(self, train: Interactions, rng: np.random.Generator) -> Iterator[EpochStats]:
        """Learn epoch by epoch, or go on from the checkpoint."""
        self.feature_matrix("item", train)  # is there one?
        require_memory(
            f"{type(self).__name__} for the content of {train.n_items:,} items",
            self.memory_needed(train),
            "Name fewer feature sets in item_features, or set a smaller n_hidden or batch_size.",
        )
        return super().fit_epochs(train, rng)

    def train_epoch(self, train: Interactions, rng: np.random.Generator) -> dict[str, float]:
        """Train the network, then find the vectors."""
        values = super().train_epoch(train, rng)
        if np.isfinite(values["loss"]):
            self.start_vectors()
            found = self.squares.sweeps(*self.vectors_and_means(), self.config.n_sweeps)
            for kept, new in zip((self.network.users, self.network.items), found, strict=True):
                kept.copy_(torch.from_numpy(new))
        return values

    def start_vectors(self) -> None:
        """Set the items' vectors before they are found for the first time, if it is now."""

    def vectors_and_means(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the items' vectors, and the codes that they are drawn to, in float64."""
        with torch.no_grad():
            codes = self.codes(SparseMatrix(self.content))
        return self.network.items.cpu().numpy(), codes.cpu().double().numpy()

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return the vectors of users and of items."""
        return self.network.users.float(), self.network.items.float()

    def learn_before(
        self,
        name: str,
        module: nn.Module,
        inputs: Content,
        loss: Callable[[Rows], Tensor],
        train: Interactions,
        rng: np.random.Generator,
        **settings: Any,
    ) -> None:
        """Train a part of the network in place, from rows of its inputs; it can be interrupted."""
        config = self.config
        shared = config.model_dump(include={"batch_size", "clip_norm", "device", "optimizer"})
        stage = Stage(module, inputs, loss, **{**shared, **settings})
        if stage.config.epochs:
            self.train_before(name, stage, train, rng)

    def content_before(self, rng: np.random.Generator) -> csr_array:
        """Draw the items that layers learn from before the first epoch."""
        n_items = self.content.shape[0]
        n = min(n_items, int(np.ceil(self.config.pretraining_share * n_items)))
        return self.content[np.sort(rng.permutation(n_items)[:n])]

    def _identity(self, train: Interactions) -> str:
        assert self.features is not None
        chosen = self.features.chosen("item", self.feature_names("item"))
        parts = [super()._identity(train), *(one.fingerprint for one in chosen)]
        return hashlib.sha256("".join(parts).encode()).hexdigest()
