"""The table of named data sets; `recrepro.data.catalogue.load_named` reads them.

A new one is an entry in `DATASETS` and nothing else. Its `content` is what
`recrepro.data.dataset.content_checksum` returns for a copy known to be right.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One file of a data set.

    Parameters
    ----------
    local : tuple of str
        Where it may lie below a data folder; each also with ``.gz`` at its end.
    url : str
        Where it is published; empty if nobody serves it any more.
    sha256 : str or None
        Checksum of what the URL gives. None only where the data set has a `content` checksum.
    member : str
        The file inside the archive at the URL; empty if the URL gives the file itself.
    limit_mb : int
        Largest download that is accepted, in MB.
    """

    local: tuple[str, ...]
    url: str = ""
    sha256: str | None = None
    member: str = ""
    limit_mb: int = 50


@dataclass(frozen=True)
class NamedDataset:
    """An entry of `DATASETS`.

    Parameters
    ----------
    title : str
        Full name.
    homepage, licence, citation : str
        Where to get it by hand; on what terms; what to cite.
    users, items, interactions : int
        What it holds; checked each time it is read.
    format : str
        A name of `recrepro.data.parsing.FORMATS`, for files whose ending does not tell it.
    sources : tuple of Source
        One file; or train and test; or train, test and negatives.
    content : str or None
        `content_checksum` of the right data; None where nobody has computed it yet.
    """

    title: str
    homepage: str
    licence: str
    citation: str
    users: int
    items: int
    interactions: int
    format: str
    sources: tuple[Source, ...]
    content: str | None = None


_GROUPLENS = "https://files.grouplens.org/datasets/movielens/"
_GROUPLENS_LICENCE = (
    "GroupLens Research: research use with acknowledgement, no commercial use and no "
    "redistribution without permission"
)
_MOVIELENS = "harper2015movielens: Harper and Konstan, The MovieLens Datasets, ACM TiiS 2015"
_NCF = "https://raw.githubusercontent.com/hexiangnan/neural_collaborative_filtering/master/Data/"

DATASETS: dict[str, NamedDataset] = {
    "movielens-100k": NamedDataset(
        "MovieLens 100K",
        "https://grouplens.org/datasets/movielens/100k/",
        _GROUPLENS_LICENCE,
        _MOVIELENS,
        *(943, 1_682, 100_000),
        format="ncf",
        sources=(
            Source(
                ("ml-100k/u.data",),
                f"{_GROUPLENS}ml-100k.zip",
                "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
                "ml-100k/u.data",
            ),
        ),
        content="2cbb1ff982a054e4241070c5bed8fc14f5e0a0b8bb5bafbc30fa6159c031c112",
    ),
    "movielens-1m": NamedDataset(
        "MovieLens 1M",
        "https://grouplens.org/datasets/movielens/1m/",
        _GROUPLENS_LICENCE,
        _MOVIELENS,
        *(6_040, 3_706, 1_000_209),
        format="movielens",
        sources=(
            Source(
                ("ml-1m/ratings.dat", "ml-1m/ratings.csv"),
                f"{_GROUPLENS}ml-1m.zip",
                "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
                "ml-1m/ratings.dat",
            ),
        ),
        content="bf6f59f62f658369d0c69ac5a50af98ff1bf74dcc16b8138cdad9fbca71eb609",
    ),
    "movielens-20m": NamedDataset(
        "MovieLens 20M",
        "https://grouplens.org/datasets/movielens/20m/",
        _GROUPLENS_LICENCE,
        _MOVIELENS,
        *(138_493, 26_744, 20_000_263),
        format="csv",
        sources=(
            Source(
                ("ml-20m/ratings.csv",),
                f"{_GROUPLENS}ml-20m.zip",
                "96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3",
                "ml-20m/ratings.csv",
                limit_mb=250,
            ),
        ),
    ),
    "movielens-latest-small": NamedDataset(
        "MovieLens latest small, September 2018",
        "https://grouplens.org/datasets/movielens/latest/",
        _GROUPLENS_LICENCE,
        _MOVIELENS,
        *(610, 9_724, 100_836),
        format="csv",
        sources=(
            Source(
                ("ml-latest-small/ratings.csv",),
                f"{_GROUPLENS}ml-latest-small.zip",
                "696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
                "ml-latest-small/ratings.csv",
            ),
        ),
    ),
    "movielens-latest-small-2016": NamedDataset(
        "MovieLens latest small, October 2016",
        "https://grouplens.org/datasets/movielens/latest/",
        _GROUPLENS_LICENCE,
        _MOVIELENS,
        *(671, 9_066, 100_004),
        format="csv",
        sources=(Source(("ml-latest-small-2016/ratings.csv", "ml-latest-small/ratings.csv")),),
        content="285a9176978c0160b648b15873852c2d5ff3a8fcfaa9ce9aad06fae40952c786",
    ),
    "movielens-1m-ncf": NamedDataset(
        "MovieLens 1M, leave-one-out split of NCF with 99 negatives a user",
        "https://github.com/hexiangnan/neural_collaborative_filtering",
        _GROUPLENS_LICENCE,
        "he2017ncf: He et al., Neural Collaborative Filtering, WWW 2017",
        *(6_040, 3_706, 1_000_209),
        format="ncf",
        sources=(
            Source(("ml-1m-ncf/ml-1m.train.rating",), f"{_NCF}ml-1m.train.rating"),
            Source(
                ("ml-1m-ncf/ml-1m.test.rating",),
                f"{_NCF}ml-1m.test.rating",
                "231ae11eb060b643a8c58c063cd17ffc743b54f569afb073d1abb6cf126b88b5",
            ),
            Source(
                ("ml-1m-ncf/ml-1m.test.negative",),
                f"{_NCF}ml-1m.test.negative",
                "127853228a76b7d21c0481e8ef8d00dd009cd5c88670dbdd9e9debfdb9f93de4",
            ),
        ),
        content="56f473bbf56c27415e1b874e0bc93a6599473b607a6366fd83ae12e84ef52c18",
    ),
    "movielens-1m-spectralcf": NamedDataset(
        "MovieLens 1M, split published with SpectralCF",
        "https://github.com/MaurizioFD/RecSys2019_DeepLearning_Evaluation",
        _GROUPLENS_LICENCE,
        "zheng2018spectralcf: Zheng et al., Spectral Collaborative Filtering, RecSys 2018",
        *(6_014, 3_232, 226_310),
        format="adjacency",
        sources=(
            Source(("ml-1m-spectralcf/train_users.dat",)),
            Source(("ml-1m-spectralcf/test_users.dat",)),
        ),
        content="081448abe79a2dee60a8dd4a5b09388f816c4ae0365a32d228195e914a50ae85",
    ),
    "yelp2018-lightgcn": NamedDataset(
        "Yelp2018, split of NGCF and LightGCN",
        "https://github.com/gusye1234/LightGCN-PyTorch",
        "Yelp Open Dataset terms: academic, non-commercial, no redistribution",
        "he2020lightgcn: He et al., LightGCN, SIGIR 2020",
        *(31_668, 38_048, 1_561_406),
        format="adjacency",
        sources=(
            Source(("yelp2018-lightgcn/train.txt",)),
            Source(("yelp2018-lightgcn/test.txt",)),
        ),
        content="c96f01b567ca20b84e0cb0507eccee39f20457f22b40e12726e804154a3b8e76",
    ),
}
"""Every named data set, by the name that experiment files use."""
