"""What every registered model holds to. A new name in a MODELS table is tested here unasked."""

import pytest

from recrepro.model import Recommender
from recrepro.registry import Registry
from recrepro.testing import CHECKS, ModelUnderTest

MODELS = Registry[type[Recommender]]("model", group="recrepro.models")

NOT_PERSONAL = {
    "random": "its scores are noise",
    "toppopular": "it ranks the same items first for everyone",
    "globaleffects": "it ranks the same items first for everyone",
}
"""Models that need not tell one community's items from another's, and why."""

IN_SMALL_WORLDS = {
    "cdl": {"confidence_unseen": 0.3, "pretraining_epochs": 20, "epochs": 20},
    "cmn": {
        "optimizer": "adam",
        "learning_rate": 0.01,
        "l2": 0.001,
        "batch_size": 512,
        "pretraining_epochs": 0,
        "epochs": 25,
    },
    "coupledcf": {"batch_size": 64, "epochs": 40},
    "puresvd": {"n_factors": 2},
    "neumf": {"gmf_epochs": 100, "mlp_epochs": 100, "epochs": 1},
    "sasrec": {"epochs": 40, "learning_rate": 0.003},
    "convncf": {"n_factors": 16, "pretraining_epochs": 100, "epochs": 2},
    "mcrec": {"pretraining_epochs": 20, "epochs": 20},
    "dmf": {"n_negatives": 1, "epochs": 10, "learning_rate": 0.001},
    "ineurec": {"epochs": 40, "learning_rate": 0.002},
    "uneurec": {"epochs": 40, "learning_rate": 0.002},
    "ultragcn": {
        "n_negatives": 20,
        "negative_weight": 20.0,
        "learning_rate": 0.02,
        "epochs": 50,
    },
    "spectralcf": {"learning_rate": 0.01},
}
"""Hyperparameters of models whose defaults are made for more than the two kinds of users below:
as many factors as there are users give back what they were fitted on, and nothing else; an epoch
of neural models has a few steps only here, so that they take more epochs. SASRec, which has 201
by default, is quicker with fewer and longer steps. So are ConvNCF, MCRec, NeuRec
and DMF, which after all its epochs knows by heart that withheld items were drawn as others; as CMN
does, which finds 0.98 to 1 of the items after 25 epochs with each of six seeds, and down to 0.93
after 50. CoupledCF has means and variances of batches that forget as slowly as those of Keras.
The weight that UltraGCN gives to drawn items is made for thousands of items. RMSprop as CMN and
SpectralCF have it makes short steps at first, of which these are too few. CDL has codes that are
all above 0, and with a weight made for many thousands of items every item gets a score near 1."""


def is_neural(name: str) -> bool:
    return MODELS.resolve_target(name).startswith("recrepro.neural.")


@pytest.fixture(scope="module")
def subject(request: pytest.FixtureRequest) -> ModelUnderTest:
    """Give the model under test; pytest drops it, and its fit, when the next model begins."""
    name = request.param
    if is_neural(name):
        pytest.importorskip("torch", reason="neural models need torch")
    model = MODELS.resolve(name)
    fields = model.Config.model_fields
    epochs = [field for field in fields if field == "epochs" or field.endswith("_epochs")]
    return ModelUnderTest(
        model,
        quick=dict.fromkeys(epochs if is_neural(name) else (), 3),
        learning=IN_SMALL_WORLDS.get(name, {}),
        not_personal=NOT_PERSONAL.get(name, ""),
    )


# The checks of a model share a fit, so that they belong on one worker.
@pytest.mark.parametrize(
    ("subject", "check"),
    [
        pytest.param(
            model, check, id=f"{model}-{check}", marks=pytest.mark.xdist_group(f"contract-{model}")
        )
        for model in MODELS.names()
        for check in CHECKS
    ],
    indirect=["subject"],
)
def test_contract(subject: ModelUnderTest, check: str) -> None:
    CHECKS[check](subject)
