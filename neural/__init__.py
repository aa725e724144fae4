"""Neural recommenders, imported as `recrepro.neural`: one file an algorithm, torch as an extra."""

if __name__ != "recrepro.neural":
    raise ImportError(
        "this folder is the package recrepro.neural: install the checkout with "
        "`pip install -e .` and import it by that name."
    )

MODELS: dict[str, str] = {
    "cdl": "recrepro.neural.cdl:CDL",
    "cmn": "recrepro.neural.cmn:CMN",
    "convncf": "recrepro.neural.convncf:ConvNCF",
    "coupledcf": "recrepro.neural.coupledcf:CoupledCF",
    "cvae": "recrepro.neural.cvae:CVAE",
    "deepcf": "recrepro.neural.deepcf:DeepCF",
    "delfef": "recrepro.neural.delf:DELFEF",
    "delfmlp": "recrepro.neural.delf:DELFMLP",
    "dmf": "recrepro.neural.dmf:DMF",
    "dotmf": "recrepro.neural.dotmf:DotMF",
    "gmf": "recrepro.neural.gmf:GMF",
    "ineurec": "recrepro.neural.neurec:INeuRec",
    "lightgcn": "recrepro.neural.lightgcn:LightGCN",
    "mcrec": "recrepro.neural.mcrec:MCRec",
    "mlp": "recrepro.neural.mlp:MLP",
    "multdae": "recrepro.neural.multdae:MultDAE",
    "multvae": "recrepro.neural.multvae:MultVAE",
    "neumf": "recrepro.neural.neumf:NeuMF",
    "recvae": "recrepro.neural.recvae:RecVAE",
    "sasrec": "recrepro.neural.sasrec:SASRec",
    "simplex": "recrepro.neural.simplex:SimpleX",
    "spectralcf": "recrepro.neural.spectralcf:SpectralCF",
    "ultragcn": "recrepro.neural.ultragcn:UltraGCN",
    "uneurec": "recrepro.neural.neurec:UNeuRec",
}
