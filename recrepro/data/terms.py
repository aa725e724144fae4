"""What several entries of the tables of data sets share: terms of use, and fixed addresses."""

GROUPLENS_TERMS = (
    "GroupLens Research: research use with acknowledgement, no commercial use and no "
    "redistribution without permission"
)
HETREC_TERMS = "HetRec 2011 (I. Cantador et al.): non-commercial research with citation"
HETREC_CITATION = "cantador2011hetrec: Cantador et al., HetRec 2011, RecSys 2011"
AMAZON_TERMS = "J. McAuley, UCSD: published for academic research with citation; no licence stated"
CITEULIKE_TERMS = "H. Wang et al.: published for research with citation; no licence stated"
STEAM_TERMS = "Kaggle (login needed): terms are stated on the home page"
YELP_TERMS = "Yelp Open Dataset terms: academic, non-commercial, no redistribution"

_COMMITS = {
    "MaurizioFD/RecSys2019_DeepLearning_Evaluation": "f5618c65573c5b220713775bdd56971663de9828",
    "NoConst/MulSetRank": "4016c6315257ea090fbc07adb1bea56348c488d0",
    "RUCAIBox/CIKM2020-S3Rec": "2a81540ae18615d88ef88227b0c066e5b74781e5",
    "gusye1234/LightGCN-PyTorch": "947ca2b3b1d2d3545b114145710cb06c4e57b3d2",
    "hexiangnan/neural_collaborative_filtering": "4aab159e81c44b062c091bdaed0ab54ac632371f",
    "js05212/citeulike-a": "91b603922d7f2d3db18071d4798bf78c9c5d1680",
    "librahu/HIN-Datasets-for-Recommendation-and-Network-Embedding": (
        "cc05c484b628b08237f0a876fcebf99d736ccbea"
    ),
    "reczoo/RecZoo": "fd2379d3b5df99d23513a8c423c083d27a45126d",
}
"""The state of each repository that the checksums in the tables belong to."""


def github(repository: str, path: str) -> str:
    """Return the address of a file in a repository at the commit that was looked at."""
    return f"https://raw.githubusercontent.com/{repository}/{_COMMITS[repository]}/{path}"
