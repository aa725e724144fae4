"""Neural recommenders, imported as `recrepro.neural`: one file an algorithm, torch as an extra."""

if __name__ != "recrepro.neural":
    raise ImportError(
        "this folder is the package recrepro.neural: install the checkout with "
        "`pip install -e .` and import it by that name."
    )

MODELS: dict[str, str] = {
    "gmf": "recrepro.neural.gmf:GMF",
    "mlp": "recrepro.neural.mlp:MLP",
    "neumf": "recrepro.neural.neumf:NeuMF",
}
