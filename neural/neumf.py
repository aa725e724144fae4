"""NeuMF: GMF and MLP below one output."""

from collections.abc import Callable
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Gt
from pydantic import FiniteFloat
from torch import Tensor, nn

from recrepro.interactions import Interactions
from recrepro.space import Choice, IntRange, LogUniform, OnlyWhere

from ._layers import embedding, lecun
from ._optimizers import OptimizerName, make_optimizer
from .gmf import GMF, GMFNetwork
from .mlp import MLP, MLPNetwork, Tower


class NeuMFNetwork(nn.Module):
    """The product of two tables and a tower on two others, side by side below one output."""

    def __init__(
        self, n_users: int, n_items: int, n_factors: int, n_layers: int, std: float
    ) -> None:
        super().__init__()
        self.users = embedding(n_users, n_factors, std)
        self.items = embedding(n_items, n_factors, std)
        self.tower = Tower(n_users, n_items, n_factors, n_layers, std)
        self.output = lecun(2 * n_factors, 1)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the logits of pairs."""
        product = self.users(users) * self.items(items)
        both = torch.cat([product, self.tower(users, items)], dim=-1)
        logits: Tensor = self.output(both).squeeze(-1)
        return logits

    def for_all_items(self) -> Callable[[Tensor], Tensor]:
        """Return a function of a user's number, with the logits of every item."""
        of_product, of_tower = self.output.weight[0].chunk(2)
        tower = self.tower.for_all_items()

        def of_user(user: Tensor) -> Tensor:
            product = self.items.weight @ (self.users(user) * of_product)
            logits: Tensor = tower(user) @ of_tower + product + self.output.bias
            return logits

        return of_user

    @torch.no_grad()
    def start_from(self, gmf: GMFNetwork, mlp: MLPNetwork) -> None:
        """Take over the parameters of trained parts; each gives half of the first logits."""
        self.users.load_state_dict(gmf.users.state_dict())
        self.items.load_state_dict(gmf.items.state_dict())
        self.tower.load_state_dict(mlp.tower.state_dict())
        self.output.weight.copy_(torch.cat([gmf.output.weight, mlp.output.weight], dim=1) / 2)
        self.output.bias.copy_((gmf.output.bias + mlp.output.bias) / 2)


class NeuMF(MLP):
    r"""Join a generalised matrix factorisation and a perceptron, each with its own factors.

    He, Liao, Zhang, Nie, Hu & Chua: Neural collaborative filtering. WWW 2017, eq. 12.

    .. math::

        \hat y_{ui} = \sigma\bigl(h^\top [p^G_u \circ q^G_i,\; \phi_L(\dots \phi_1([p^M_u, q^M_i]))]
        + b\bigr)

    learned by binary cross-entropy, with unseen items as negatives, drawn anew in every epoch.
    GMF and MLP are trained first, each alone and with Adam; then both start from there, with half
    of each one's output weights and with plain SGD. Without pre-training all is learned at once,
    with Adam.

    Notes
    -----
    Scores are logits. `epochs` counts the epochs of both together. Factors start from
    N(0, `init_std`^2): the paper states 0.01, the released code has 0.05. Values of interactions
    are ignored. The number of epochs, which the released code picks on the test items, is found on
    validation data; those of the parts are hyperparameters.
    """

    class Config(MLP.Config):
        """Hyperparameters."""

        n_factors: Annotated[int, Ge(1), Choice(8, 16, 32, 64)] = 64
        """Number of factors of the product, and width of the last layer of the perceptron."""
        pretraining: Annotated[bool, Choice(True, False)] = True
        """Whether the parts are trained first."""
        gmf_epochs: Annotated[int, Ge(1), IntRange(1, 50), OnlyWhere("pretraining", True)] = 10
        """Number of epochs of GMF alone."""
        mlp_epochs: Annotated[int, Ge(1), IntRange(1, 50), OnlyWhere("pretraining", True)] = 10
        """Number of epochs of MLP alone."""
        learning_rate: Annotated[FiniteFloat, Gt(0), LogUniform(1e-4, 1e-2)] = 1e-3
        """Length of a step, of the parts alone too."""
        optimizer: OptimizerName | None = None  # type: ignore[assignment]
        """What turns a gradient into a step: by default SGD after pre-training, else Adam."""

    network: NeuMFNetwork  # type: ignore[assignment]  # made of the same parts, and more

    def build(self, train: Interactions) -> nn.Module:
        """Make tables and layers."""
        c = self.config
        return NeuMFNetwork(train.n_users, train.n_items, c.n_factors, c.n_layers, c.init_std)

    def prepare(self, train: Interactions, rng: np.random.Generator) -> None:
        """Train the parts."""
        if not self.config.pretraining:
            return
        shared = self.config.model_dump(
            include={"n_factors", "n_negatives", "batch_size", "learning_rate", "init_std"}
            | {"device", "mixed_precision", "clip_norm"}
        )
        gmf = GMF(**shared, epochs=self.config.gmf_epochs)
        mlp = MLP(**shared, n_layers=self.config.n_layers, epochs=self.config.mlp_epochs)
        for name, part in (("gmf", gmf), ("mlp", mlp)):
            self.train_before(name, part, train, rng)
        self.network.start_from(gmf.network, mlp.network)

    def make_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return SGD after pre-training and Adam without, unless told otherwise."""
        config = self.config
        name: OptimizerName = config.optimizer or ("sgd" if config.pretraining else "adam")
        return [make_optimizer(name, self.network.parameters(), config.learning_rate)]
