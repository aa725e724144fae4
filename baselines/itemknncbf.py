"""Item-based nearest neighbours by what is known of items, alone or with interactions."""

from typing import Annotated

from annotated_types import Ge
from pydantic import FiniteFloat
from scipy.sparse import csr_array

from recrepro.features import FeatureNames, over_largest
from recrepro.interactions import Interactions
from recrepro.space import LogUniform

from ._neighbours import ContentConfig, beside, nearest_described
from ._similarity import ItemSimilarityModel


class ItemKNNCBF(ItemSimilarityModel):
    r"""Recommend what is described like the items of the history.

    Content-based neighbourhood as in Ferrari Dacrema, Boglio, Cremonesi, Jannach: A troubling
    analysis of reproducibility and progress in recommender systems research. TOIS 2021.

    .. math:: \hat r_{uj} = \sum_{i \in N(j)} r_{ui}\, s_{ij}

    where N(j) are the `n_neighbors` items whose features are most similar to those of j, and r is
    the history. Items without features have no neighbours.

    Notes
    -----
    As in the study, features are weighted (items are documents, features terms), histories are not,
    and scores are not divided by the sum of similarities. Ties: see `ItemKNN`. The words that the
    study had of CiteULike were divided by their largest counts before, which is `scaling`.
    """

    needs_features = ("item",)

    class Config(ContentConfig):
        """Hyperparameters; neighbours are items."""

        item_features: FeatureNames = "all"
        """Names of the feature sets, separated by commas; "all" leaves links out."""

    def describe(self, train: Interactions) -> csr_array:
        """Return what items are compared by, a row an item."""
        features = self.feature_matrix("item", train)
        return features if self.config.scaling == "none" else over_largest(features)

    def learn_weights(self, train: Interactions) -> csr_array:
        """Find each item's neighbours; a column holds the neighbours of the item scored."""
        return nearest_described(self.describe(train), self.config).T.tocsr()


class ItemKNNCFCBF(ItemKNNCBF):
    """Recommend what has the features and the users of the items of the history.

    Hybrid neighbourhood as in Ferrari Dacrema, Boglio, Cremonesi, Jannach: A troubling analysis of
    reproducibility and progress in recommender systems research. TOIS 2021.

    An item is described by its features, times `feature_weight`, beside its users; else as
    `ItemKNNCBF`. With a weight of 0 it is `ItemKNN` with raw profiles; the larger the weight, the
    more it is `ItemKNNCBF`, but for items without features, which users alone compare, and for
    BM25, which has an upper bound. Similarities that take all values as 1 know no weight but 0.
    """

    class Config(ItemKNNCBF.Config):
        """Hyperparameters; neighbours are items."""

        feature_weight: Annotated[FiniteFloat, Ge(0), LogUniform(0.01, 100.0)] = 1.0
        """What features are multiplied with; interactions count 1."""

    def describe(self, train: Interactions) -> csr_array:
        """Return features and users of each item."""
        users = train.matrix.T.tocsr()
        return beside(super().describe(train), self.config.feature_weight, users)
