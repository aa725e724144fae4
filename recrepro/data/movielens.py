"""The table of MovieLens: every release, and that of HetRec 2011."""

from recrepro.data.entry import NamedDataset, Source
from recrepro.data.terms import GROUPLENS_TERMS, HETREC_CITATION, HETREC_TERMS

_MOVIELENS = "harper2015movielens: Harper and Konstan, The MovieLens Datasets, ACM TiiS 2015"


def _movielens(
    name: str,
    title: str,
    counts: tuple[int | None, int | None, int],
    checksum: str,
    member: str,
    fmt: str = "csv",
    *,
    local: tuple[str, ...] = (),
    limit_mb: int = 50,
    content: str | None = None,
) -> NamedDataset:
    """Describe a release of MovieLens by what differs."""
    page = "latest" if name.startswith("latest") else name
    return NamedDataset(
        title,
        f"https://grouplens.org/datasets/movielens/{page}/",
        GROUPLENS_TERMS,
        _MOVIELENS,
        *counts,
        format=fmt,
        sources={
            "interactions": Source(
                local or (member,),
                f"https://files.grouplens.org/datasets/movielens/ml-{name}.zip",
                checksum,
                member,
                limit_mb,
            )
        },
        content=content,
        family="MovieLens",
    )


MOVIELENS: dict[str, NamedDataset] = {
    "movielens-100k": _movielens(
        "100k",
        "MovieLens 100K",
        (943, 1_682, 100_000),
        "sha256:50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
        "ml-100k/u.data",
        "ncf",
        content="2cbb1ff982a054e4241070c5bed8fc14f5e0a0b8bb5bafbc30fa6159c031c112",
    ),
    "movielens-1m": _movielens(
        "1m",
        "MovieLens 1M",
        (6_040, 3_706, 1_000_209),
        "sha256:a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
        "ml-1m/ratings.dat",
        "movielens",
        local=("ml-1m/ratings.dat", "ml-1m/ratings.csv"),
        content="bf6f59f62f658369d0c69ac5a50af98ff1bf74dcc16b8138cdad9fbca71eb609",
    ),
    "movielens-10m": _movielens(
        "10m",
        "MovieLens 10M",
        (69_878, 10_677, 10_000_054),
        "sha256:813c411ccb6122564edfe752e7f80c4dcc5aa25fa94c93622f6877a7ba252862",
        "ml-10M100K/ratings.dat",
        "movielens",
        limit_mb=100,
    ),
    "movielens-20m": _movielens(
        "20m",
        "MovieLens 20M",
        (138_493, 26_744, 20_000_263),
        "sha256:96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3",
        "ml-20m/ratings.csv",
        limit_mb=250,
    ),
    "movielens-25m": _movielens(
        "25m",
        "MovieLens 25M",
        (162_541, 59_047, 25_000_095),
        "sha256:8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa",
        "ml-25m/ratings.csv",
        limit_mb=300,
    ),
    "movielens-32m": _movielens(
        "32m",
        "MovieLens 32M",
        (200_948, None, 32_000_204),
        "md5:d472be332d4daa821edc399621853b57",
        "ml-32m/ratings.csv",
        limit_mb=300,
    ),
    "movielens-latest-small": _movielens(
        "latest-small",
        "MovieLens latest small, September 2018",
        (610, 9_724, 100_836),
        "sha256:696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
        "ml-latest-small/ratings.csv",
    ),
    "movielens-latest-small-2016": NamedDataset(
        "MovieLens latest small, October 2016",
        "https://grouplens.org/datasets/movielens/latest/",
        GROUPLENS_TERMS,
        _MOVIELENS,
        *(671, 9_066, 100_004),
        format="csv",
        sources={
            "interactions": Source(
                ("ml-latest-small-2016/ratings.csv", "ml-latest-small/ratings.csv")
            )
        },
        content="285a9176978c0160b648b15873852c2d5ff3a8fcfaa9ce9aad06fae40952c786",
        family="MovieLens",
    ),
    "movielens-hetrec2011": NamedDataset(
        "HetRec 2011, MovieLens with IMDb and Rotten Tomatoes",
        "https://grouplens.org/datasets/hetrec-2011/",
        HETREC_TERMS,
        HETREC_CITATION,
        *(2_113, 10_109, 855_598),
        format="tsv",
        sources={
            "interactions": Source(
                (
                    "hetrec2011-movielens-2k-v2/user_ratedmovies-timestamps.dat",
                    "hetrec2011-movielens-2k/user_ratedmovies-timestamps.dat",
                ),
                "https://files.grouplens.org/datasets/hetrec2011/hetrec2011-movielens-2k-v2.zip",
                member="user_ratedmovies-timestamps.dat",
            )
        },
        family="MovieLens",
    ),
}
"""Every release."""
