"""The registry of models; a list of their names needs none of the libraries of the contract."""

from typing import TYPE_CHECKING, Any, Literal

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


Family = Literal["simple", "neural", "own"]
Role = Literal["baseline", "judged"]


def family_of(model: "type[Recommender]") -> Family:
    """Return which of recrepro's packages a model comes from; "own" for all others."""
    families: dict[str, Family] = {"recrepro.baselines": "simple", "recrepro.neural": "neural"}
    package = ".".join(model.__module__.split(".")[:2])
    return families.get(package, "own")


def default_role(family: str) -> Role:
    """Return the role of a model where the experiment gives none: only baselines are baselines."""
    return "baseline" if family == "simple" else "judged"


MODELS: Registry["type[Recommender]"] = Registry(
    "model", group="recrepro.models", hint="List them: recrepro ls models.", fault=_model_fault
)
