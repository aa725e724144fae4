"""The registry of models; a list of their names needs none of the libraries of the contract."""

from typing import TYPE_CHECKING, Any, Literal

from recrepro.registry import Registry

if TYPE_CHECKING:
    from recrepro.model import Recommender


def model_fault(model: Any) -> str | None:
    """Say what is wrong with something that should be a model class; None if nothing is."""
    from inspect import isclass

    from recrepro.model import ModelConfig, Recommender

    if not (isclass(model) and issubclass(model, Recommender)):
        return "is no model: derive it from recrepro.model.Recommender"
    missing = sorted(getattr(model, "__abstractmethods__", ()))
    if missing:
        wanted = " and no method ".join(missing)
        return f"has no method {wanted}: define it, as recrepro.model.{_base(model)} describes"
    config = getattr(model, "Config", None)
    if not (isinstance(config, type) and issubclass(config, ModelConfig)):
        return "has a Config that does not derive from recrepro.model.ModelConfig"
    return None


def _base(model: Any) -> str:
    from recrepro.model import IterativeRecommender

    return "IterativeRecommender" if issubclass(model, IterativeRecommender) else "Recommender"


Family = Literal["simple", "neural", "custom"]
Role = Literal["baseline", "judged"]


def family_of(model: "type[Recommender]") -> Family:
    """Return which of recrepro's packages a model comes from; "custom" for all others."""
    families: dict[str, Family] = {"recrepro.baselines": "simple", "recrepro.neural": "neural"}
    package = ".".join(model.__module__.split(".")[:2])
    return families.get(package, "custom")


def default_role(family: str) -> Role:
    """Return the role of a model where the experiment gives none: only baselines are baselines."""
    return "baseline" if family == "simple" else "judged"


MODELS: Registry["type[Recommender]"] = Registry(
    "model", group="recrepro.models", hint="List them: recrepro ls models.", fault=model_fault
)
