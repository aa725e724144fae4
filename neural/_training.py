"""The one training loop of the neural recommenders, and what they have in common.

Longer than 350 lines: the training loop cannot be cut without handing its state around.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from annotated_types import Ge, Gt
from numpy.typing import NDArray
from pydantic import FiniteFloat
from scipy.sparse import csr_array
from torch import Tensor, nn

from recrepro.errors import ModelError
from recrepro.interactions import Interactions
from recrepro.model import EpochStats, IterativeRecommender, ModelConfig
from recrepro.randomness import generator, integer_seed

from ._optimizers import OptimizerName, make_optimizer

Batch = tuple[NDArray[Any], ...]
PAIRS_AT_ONCE = 2**16
"""Pairs of user and item that are scored at once: intermediate results stay in the cache."""


class NeuralConfig(ModelConfig):
    """Hyperparameters that all neural recommenders have."""

    epochs: Annotated[int, Ge(1)] = 100
    """Number of epochs."""
    batch_size: Annotated[int, Ge(1)] = 1024
    """Number of samples for one step."""
    learning_rate: Annotated[FiniteFloat, Gt(0)] = 1e-3
    """Length of a step."""
    optimizer: OptimizerName = "adam"
    """What turns a gradient into a step."""
    clip_norm: Annotated[FiniteFloat, Ge(0)] = 0.0
    """Largest norm of the gradient of a step; 0 for no limit."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute: a GPU if there is one, or as told."""
    mixed_precision: bool = False
    """Whether dense layers are trained in bfloat16, on a GPU or a processor that has it."""


class NeuralRecommender(IterativeRecommender):
    """Trains a network in epochs of batches.

    A model says how its network is made (`build`), what an epoch consists of (`batches`) and what
    is to become small (`loss`). Results are bit-equal for equal seeds, versions and numbers of
    threads on a CPU; on a GPU sums are taken in any order, and they are equal to rounding.

    Attributes
    ----------
    network : torch.nn.Module
        Has the parameters.
    """

    inductive = False
    network: nn.Module

    @abstractmethod
    def build(self, train: Interactions) -> nn.Module:
        """Make the network; torch's own generator is seeded for the first parameters."""

    @abstractmethod
    def batches(self, train: Interactions, rng: np.random.Generator) -> Iterator[Batch]:
        """Yield the batches of an epoch, as arrays for `loss`."""

    @abstractmethod
    def loss(self, *batch: Tensor) -> Tensor:
        """Return what is to become small, for a batch; dropout may use torch's generator."""

    def make_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return what changes the parameters; by default one for all of them."""
        config = self.config
        parameters = self.network.parameters()
        return [make_optimizer(config.optimizer, parameters, config.learning_rate)]

    def prepare(self, train: Interactions, rng: np.random.Generator) -> None:
        """Learn what comes before the first epoch, such as weights of other models."""

    def train_before(
        self, name: str, part: "NeuralRecommender", train: Interactions, rng: np.random.Generator
    ) -> None:
        """Fit another model that this one starts from; it can be interrupted, too."""
        if self.checkpoint is not None:
            part.checkpoint = self.checkpoint.stage(name)
        part.fit(train, rng)

    def train_epoch(self, train: Interactions, rng: np.random.Generator) -> dict[str, float]:
        """Train for an epoch; return what to report of it."""
        return {"loss": self.descend(self.batches(train, rng), self.optimizers)}

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def fit_epochs(self, train: Interactions, rng: np.random.Generator) -> Iterator[EpochStats]:
        """Learn epoch by epoch, or go on from the checkpoint."""
        device = _device(self.config.device)
        self._root = int(rng.integers(2**63))
        self._origin = self._identity(train)
        self._start()
        with _seeded(self._root, "parameters"):
            self.network = self.build(train).to(device)
        reached = self._restore()
        if reached is None:
            self.prepare(train, generator(self._root, "before"))
            self.optimizers = self.make_optimizers()
            first = 1
        else:
            yield reached
            self.resumed = None
            first = reached.epoch + 1
        for epoch in count(first):
            self.network.train()
            with _seeded(self._root, "noise", epoch):
                values = self.train_epoch(train, generator(self._root, "samples", epoch))
            self.network.eval()
            self._epoch_ended()
            self._reached = EpochStats(epoch, values)
            if not all(np.isfinite(value) for value in values.values()):
                raise ModelError(
                    f"{type(self).__name__} diverged in epoch {epoch} ({values}). Try a smaller "
                    f"learning_rate than {self.config.learning_rate}, or a clip_norm."
                )
            yield self._reached

    def descend(self, batches: Iterator[Batch], optimizers: list[torch.optim.Optimizer]) -> float:
        """Make a step for every batch; return the mean of their losses, each before its step."""
        config, device = self.config, self.device
        parameters = [p for o in optimizers for group in o.param_groups for p in group["params"]]
        total, n = torch.zeros((), dtype=torch.float64, device=device), 0
        for arrays in batches:
            batch = [torch.from_numpy(array).to(device) for array in arrays]
            with torch.autocast(device.type, torch.bfloat16, enabled=config.mixed_precision):
                loss = self.loss(*batch)
            for parameter in parameters:
                parameter.grad = None
            loss.backward()  # type: ignore[no-untyped-call]
            self.clip(parameters)
            for optimizer in optimizers:
                optimizer.step()
            total += loss.detach()
            n += 1
        return float(total) / max(n, 1)

    def clip(self, parameters: list[nn.Parameter]) -> None:
        """Shorten the gradient to ``config.clip_norm``: that of all parameters together."""
        if self.config.clip_norm:
            nn.utils.clip_grad_norm_(parameters, self.config.clip_norm)

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return parameters and what optimisers remember."""
        arrays = {f"network {k}": v for k, v in self.network.state_dict().items()}
        for number, optimizer in enumerate(self.optimizers):
            for index, memory in optimizer.state_dict()["state"].items():
                for name, value in memory.items():
                    if isinstance(value, Tensor):
                        arrays[f"optimizer {number} {index} {name}"] = value
        notes = {
            "origin": self._origin,
            "epoch": self._reached.epoch,
            "values": self._reached.values,
        }
        return {name: value.cpu().numpy() for name, value in arrays.items()}, notes

    def save(self, path: Path) -> None:
        """Write the fitted network's parameters to an ``.npz`` file."""
        network: nn.Module = self.fitted("network")
        with path.open("wb") as file:
            np.savez(file, **{k: v.cpu().numpy() for k, v in network.state_dict().items()})

    def load(self, path: Path, train: Interactions) -> Self:
        """Read what `save` wrote; nothing is unpickled.

        Parameters
        ----------
        path : Path
            The file, of a model with the same hyperparameters.
        train : Interactions
            What it was fitted on.
        """
        self._start()
        network = self.build(train).to(_device(self.config.device))
        with np.load(path, allow_pickle=False) as stored:
            parameters = {name: torch.from_numpy(stored[name]) for name in stored.files}
        try:
            network.load_state_dict(parameters)
        except RuntimeError as error:
            raise ModelError(
                f"{path} does not fit {type(self).__name__} with these hyperparameters and data: "
                f"{error}"
            ) from error
        self.network = network.eval()
        return self

    def _start(self) -> None:
        """Forget an earlier fit."""
        self.resumed = None
        self._epoch_ended()

    def _epoch_ended(self) -> None:
        """Forget what was computed from parameters that have changed."""

    def _identity(self, train: Interactions) -> str:
        """Return a digest of all that decides the course of a training."""
        parts = (type(self).__name__, self.version, self.config.model_dump_json(), self._root)
        text = "\x1f".join([*map(str, parts), train.fingerprint])
        return hashlib.sha256(text.encode()).hexdigest()

    def _restore(self) -> EpochStats | None:
        stored = None if self.checkpoint is None else self.checkpoint.read()
        if stored is None or stored[1]["model"]["origin"] != self._origin:
            return None
        arrays, notes = stored
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        self.network.load_state_dict(
            {k.removeprefix("network "): v for k, v in tensors.items() if k.startswith("network ")}
        )
        self.optimizers = self.make_optimizers()
        for number, optimizer in enumerate(self.optimizers):
            memories: dict[int, dict[str, Tensor]] = {}
            for key, value in tensors.items():
                if key.startswith(f"optimizer {number} "):
                    _, _, index, name = key.split(" ")
                    memories.setdefault(int(index), {})[name] = value
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": memories, "param_groups": groups})
        self.network.eval()
        self.resumed = notes["caller"]
        self._reached = EpochStats(notes["model"]["epoch"], notes["model"]["values"])
        return self._reached


class FactorModel(NeuralRecommender):
    """A neural recommender whose scores are products of a user's and an item's vector."""

    _vectors: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None

    @abstractmethod
    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return the vectors of all users and of all items, a row each."""

    def score(
        self,
        users: NDArray[np.int32],
        histories: csr_array,  # noqa: ARG002  # a user is what was fitted
    ) -> NDArray[np.float32]:
        """Multiply the vectors."""
        self.fitted("network")
        if self._vectors is None:
            with torch.inference_mode():
                user_vectors, item_vectors = self.vectors()
            self._vectors = user_vectors.detach().cpu().numpy(), item_vectors.detach().cpu().numpy()
        of_users, of_items = self._vectors
        scores: NDArray[np.float32] = of_users[users] @ of_items.T
        return scores

    def _epoch_ended(self) -> None:
        self._vectors = None


class PairModel(NeuralRecommender):
    """A neural recommender that has to look at each pair of user and item."""

    @abstractmethod
    def pair_scores(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the scores of pairs.

        Parameters
        ----------
        users, items : Tensor of int, shape (n,)
            Indices.

        Returns
        -------
        Tensor, shape (n,)
            Before a final function that does not change their order.
        """

    def score(
        self,
        users: NDArray[np.int32],
        histories: csr_array,
    ) -> NDArray[np.float32]:
        """Score all pairs."""
        everything = np.arange(histories.shape[1], dtype=np.int32)
        rows = np.repeat(users, len(everything))
        return self._score_pairs(rows, np.tile(everything, len(users))).reshape(histories.shape)

    def score_candidates(
        self,
        users: NDArray[np.int32],
        histories: csr_array,
        candidates: csr_array,
    ) -> NDArray[np.float32]:
        """Score the pairs that are asked for."""
        scores = np.full(histories.shape, -np.inf, np.float32)
        rows, items = candidates.nonzero()
        scores[rows, items] = self._score_pairs(users[rows], items.astype(np.int32))
        return scores

    def score_by_user(
        self,
        users: NDArray[np.int32],
        histories: csr_array,
        for_all_items: Callable[[], Callable[[Tensor], Tensor]],
    ) -> NDArray[np.float32]:
        """Score all items by a function that is made once and takes one user at a time.

        Then no score depends on who else is scored, to the bit.
        """
        scores = np.empty(histories.shape, np.float32)
        with torch.inference_mode():
            of_user = for_all_items()
            for row, user in enumerate(torch.from_numpy(users).to(self.device)):
                scores[row] = of_user(user).float().cpu().numpy()
        return scores

    def _score_pairs(
        self, users: NDArray[np.int32], items: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        self.fitted("network")
        scores = np.empty(len(users), np.float32)
        device = self.device
        with torch.inference_mode():
            for start in range(0, len(users), PAIRS_AT_ONCE):
                at = slice(start, start + PAIRS_AT_ONCE)
                pairs = (torch.from_numpy(part[at]).to(device) for part in (users, items))
                scores[at] = self.pair_scores(*pairs).float().cpu().numpy()
        return scores


def _device(name: str) -> torch.device:
    """Return a device, or say that it is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ModelError(
            'device = "cuda" was asked for, but torch finds no such GPU here. Use "auto" or "cpu", '
            "or install the torch build for your GPU."
        )
    return torch.device(name)


@contextmanager
def _seeded(root: int, *names: str | int) -> Iterator[None]:
    """Seed torch's own generators, which come back to what they were."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        # Where CUDA is not in use, torch.manual_seed keeps the stack of every call for later.
        seed = integer_seed(root, *names)
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed_all(seed)
        yield
