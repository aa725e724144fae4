"""The registry of models; a list of their names needs none of the libraries of the contract."""

from typing import TYPE_CHECKING, Any

from recrepro.registry import Registry

if TYPE_CHECKING:
    from recrepro.model import Recommender


def _model_fault(model: Any) -> str | None:
    from recrepro.model import ModelConfig, Recommender

    if not (isinstance(model, type) and issubclass(model, Recommender)):
        return "is no model: derive it from recrepro.model.Recommender"
    config = getattr(model, "Config", None)
    if not (isinstance(config, type) and issubclass(config, ModelConfig)):
        return "has no hyperparameters: give it a `class Config(ModelConfig)`, empty if need be"
    return None


MODELS: Registry["type[Recommender]"] = Registry(
    "model", group="recrepro.models", hint="List them: recrepro ls models.", fault=_model_fault
)
