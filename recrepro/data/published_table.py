"""The table of named splits: train and test as a paper published them."""

from recrepro.data.entry import NamedDataset, Source
from recrepro.data.terms import (
    AMAZON_TERMS,
    CITEULIKE_TERMS,
    GROUPLENS_TERMS,
    HETREC_TERMS,
    YELP_TERMS,
    github,
)

_FAMILY = "Published splits (train and test as in the paper)"
_DACREMA = "MaurizioFD/RecSys2019_DeepLearning_Evaluation"
_NCF = "he2017ncf: He et al., Neural Collaborative Filtering, WWW 2017"
_LIGHTGCN = "he2020lightgcn: He et al., LightGCN, SIGIR 2020"


def _split(
    title: str,
    licence: str,
    citation: str,
    counts: tuple[int, int, int],
    parts: dict[str, tuple[str, str | None]],
    *,
    repository: str,
    folder: str,
    local: str,
    fmt: str = "adjacency",
    content: str | None = None,
    numbered_items: int | None = None,
) -> NamedDataset:
    """Describe a split whose files lie in one folder of a repository.

    `parts` gives for each part its file and the checksum of it.
    """
    sources = {
        part: Source((f"{local}/{file}",), github(repository, f"{folder}/{file}"), checksum)
        for part, (file, checksum) in parts.items()
    }
    return NamedDataset(
        title,
        f"https://github.com/{repository}",
        licence,
        citation,
        *counts,
        format=fmt,
        sources=sources,
        content=content,
        family=_FAMILY,
        numbered_items=numbered_items,
    )


PUBLISHED: dict[str, NamedDataset] = {
    "movielens-100k-mcrec": NamedDataset(
        "MovieLens 100K, split of MCRec (its negatives are not published)",
        f"https://github.com/{_DACREMA}",
        GROUPLENS_TERMS,
        "hu2018mcrec: Hu et al., MCRec, KDD 2018",
        *(943, 1_682, 100_000),
        format="ncf",
        sources={
            "train": Source(
                ("ml-100k-mcrec/ml-100k.train.rating",),
                github(_DACREMA, "Conferences/KDD/MCRec_github/data/ml-100k.train.rating"),
                "sha256:d043d9fedf7efecb41fdfa98e4c96c5134a26d247a70ba5d4cf3f32a61c5957b",
            ),
            "test": Source(
                ("ml-100k-mcrec/ml-100k.test.rating",),
                github(_DACREMA, "Conferences/KDD/MCRec_github/data/ml-100k.test.rating"),
                "sha256:f5c8e8216402dc6e277fc15853b90ef9e4b8f922c77d20bac7e1ae80b5c55ae5",
                format="adjacency",
            ),
        },
        content="8a9bb7c2c2b2b6ea429da693b1cce7e0aac6530ce6fd8672d00de542ae52cb18",
        family=_FAMILY,
    ),
    "movielens-1m-ncf": _split(
        "MovieLens 1M, leave-one-out split of NCF with 99 negatives a user",
        GROUPLENS_TERMS,
        _NCF,
        (6_040, 3_706, 1_000_209),
        {
            "train": ("ml-1m.train.rating", None),
            "test": (
                "ml-1m.test.rating",
                "sha256:231ae11eb060b643a8c58c063cd17ffc743b54f569afb073d1abb6cf126b88b5",
            ),
            "negatives": (
                "ml-1m.test.negative",
                "sha256:127853228a76b7d21c0481e8ef8d00dd009cd5c88670dbdd9e9debfdb9f93de4",
            ),
        },
        repository="hexiangnan/neural_collaborative_filtering",
        folder="Data",
        local="ml-1m-ncf",
        fmt="ncf",
        content="56f473bbf56c27415e1b874e0bc93a6599473b607a6366fd83ae12e84ef52c18",
    ),
    "pinterest-20-ncf": _split(
        "Pinterest-20, leave-one-out split of NCF with 99 negatives a user",
        "no licence stated; crawl of Geng et al., ICCV 2015",
        _NCF,
        (55_187, 9_916, 1_500_809),
        {
            "train": ("pinterest-20.train.rating", None),
            "test": ("pinterest-20.test.rating", None),
            "negatives": ("pinterest-20.test.negative", None),
        },
        repository="hexiangnan/neural_collaborative_filtering",
        folder="Data",
        local="pinterest-20-ncf",
        fmt="ncf",
    ),
    "movielens-1m-spectralcf": _split(
        "MovieLens 1M, split published with SpectralCF: ratings of 5 only",
        GROUPLENS_TERMS,
        "zheng2018spectralcf: Zheng et al., Spectral Collaborative Filtering, RecSys 2018",
        (6_014, 3_232, 226_310),
        {
            "train": (
                "train_users.dat",
                "sha256:ee6cf59160f3cde155416941ac42890f79accd9cf7f1ac5496ee194db49687bb",
            ),
            "test": (
                "test_users.dat",
                "sha256:b114c7c87a94462399b02e4f59f05e91b690a9091adea83dd8efcfd3e03b67ee",
            ),
        },
        repository=_DACREMA,
        folder="Conferences/RecSys/SpectralCF_github/data/ml-1m",
        local="ml-1m-spectralcf",
        content="081448abe79a2dee60a8dd4a5b09388f816c4ae0365a32d228195e914a50ae85",
    ),
    **{
        name: _split(
            title,
            licence,
            citation,
            counts,
            {"train": ("train.txt", f"sha256:{train}"), "test": ("test.txt", f"sha256:{test}")},
            repository="reczoo/RecZoo",
            folder=f"data/{folder}",
            local=local,
            content=content,
        )
        for name, title, licence, citation, counts, folder, local, train, test, content in (
            (
                "movielens-1m-lcfn",
                "MovieLens 1M, split of LCFN (Movielens1M_m1 of RecZoo)",
                GROUPLENS_TERMS,
                "yu2020lcfn: Yu and Qin, Low-pass Collaborative Filters, ICML 2020",
                (6_022, 3_043, 895_699),
                *("Movielens1M_m1", "ml-1m-lcfn"),
                "31fe589506162c76c90e87ddd017642f73655a3f959bd70deec8dda142608f4e",
                "c8b4f275ea29fdb5560f0d9014d85a3865743f3089dca0259c79fee30dcdbdcd",
                "d3f616c77a758c52b38d1206202c9e22c46c1c7f68dce7896c0b5b1904028adc",
            ),
            (
                "amazon-cds-m1",
                "Amazon CDs, split of BGCF (AmazonCDs_m1 of RecZoo)",
                AMAZON_TERMS,
                "sun2020bgcf: Sun et al., Bayesian Graph Convolution, KDD 2020",
                (43_169, 35_648, 777_426),
                *("AmazonCDs_m1", "amazon-cds-m1"),
                "c4caee7d5fe27fb5489466729b358eefe15155cec37f73ce2a4b5c74c8b73d51",
                "ef686ffd39ca5ad4c8ee9dc8eeb3333ccc5bfe548f55e0d403d210ff7f248d2d",
                "dd94c85ac913125f9271eb9ea9132f3ee44cf49b6326b989634dc9dca4d4c347",
            ),
            (
                "amazon-electronics-m1",
                "Amazon Electronics, split of NBPO (AmazonElectronics_m1 of RecZoo)",
                AMAZON_TERMS,
                "yu2020nbpo: Yu and Qin, Sampler Design, SIGIR 2020",
                (1_435, 1_522, 35_931),
                *("AmazonElectronics_m1", "amazon-electronics-m1"),
                "884a6569732136656d67e530798ecfcb6b9def627e81685c30cb18697a7d668f",
                "33b54edda8047be66ae135b9b52934f07858c482ec2a54995054e4eb2157f89d",
                "7458773a1d639dd01feee8045db3df3b1bdc3a739197e71b0a8a7875326448c0",
            ),
        )
    },
    **{
        f"citeulike-{which}-cvae-p{p}": _split(
            f"CiteULike-{which}, split of CVAE and CDL with P = {p} articles a user in train",
            CITEULIKE_TERMS,
            "li2017cvae: Li and She, Collaborative Variational Autoencoder, KDD 2017",
            counts,
            {
                "train": (f"cf-train-{p}-users.dat", f"sha256:{train}"),
                "test": (f"cf-test-{p}-users.dat", f"sha256:{test}"),
            },
            repository=_DACREMA,
            folder=f"Conferences/KDD/CollaborativeVAE_github/data/citeulike-{which}",
            local=f"citeulike-{which}-cvae",
            fmt="citeulike",
            content=content,
            # The study's candidates include the articles that are in no library.
            numbered_items=25_975 if which == "t" else None,
        )
        for which, p, counts, train, test, content in (
            (
                *("a", 1, (5_551, 16_980, 204_986)),
                "660ef4404b3d2ea75c1888fdad32b0c2037a8bc815312537f211c4a44ef3c5df",
                "1809da1a5a136b377eaad0b6b76b6a04ec09c8b59e74c98bfbe9b892f011505c",
                "f2cfc9dd0c9e9aaa078fdc4d1b95fe34cd58a2be9bed956b96e33dc9ecc74724",
            ),
            (
                *("a", 10, (5_551, 16_980, 204_986)),
                "d743cc216f1383e40767b5979ceae736009bf30835d49334ecfbdd692622c28f",
                "204a51f7496fb1234e2b7acbc52084043fe1f784e070e16d254945abd2482d39",
                "8b4226a00659b21d153e658a6129ce2b50da360327701df3923a35f8dac3b282",
            ),
            (
                *("t", 1, (7_947, 25_584, 134_860)),
                "e57e506f2e022a6c1605b4f50152e51c4b714210bd8c7b162ceadae6c38dc2ec",
                "dca8695f1aa9b397e8b14e3f51124658c90ec6867767cc355786ef7890446154",
                "bef1dacb85d4bd7142166cd82b07b6bec39615d45af29e2b4ba08614a847d4a0",
            ),
        )
    },
    "citeulike-a-cmn": NamedDataset(
        "CiteULike-a, leave-one-out split of CMN, without its negatives",
        f"https://github.com/{_DACREMA}",
        CITEULIKE_TERMS,
        "ebesu2018cmn: Ebesu et al., Collaborative Memory Network, SIGIR 2018",
        *(5_551, 16_980, 204_986),
        format="ncf",
        sources={
            "train": Source(("citeulike-a-cmn/train.tsv",), format="ncf"),
            "test": Source(("citeulike-a-cmn/test_positive.tsv",), format="ncf"),
        },
        content="4a8fd754e2d1fe3fb9ea3afe86d9da3fd4024c18a8f815947634a00268300d8b",
        family=_FAMILY,
    ),
    **{
        f"{name}-lightgcn": _split(
            f"{title}, split of NGCF and LightGCN",
            licence,
            _LIGHTGCN,
            counts,
            {"train": ("train.txt", train), "test": ("test.txt", test)},
            repository="gusye1234/LightGCN-PyTorch",
            folder=f"data/{name}",
            local=f"{name}-lightgcn",
            content=content,
        )
        for name, title, licence, counts, train, test, content in (
            (
                *("yelp2018", "Yelp2018", YELP_TERMS, (31_668, 38_048, 1_561_406)),
                "md5:1b8b5d22a227e01d6de002c53d32b4c4",
                "sha256:9cd9b37926cd1447a06625ffa7914527573fb097c10cb0bbdb1d1b8ded3742fe",
                "c96f01b567ca20b84e0cb0507eccee39f20457f22b40e12726e804154a3b8e76",
            ),
            (
                *("gowalla", "Gowalla", "SNAP: research with citation"),
                (29_858, 40_981, 1_027_370),
                "md5:5eec1eb2edb8dd648377d348b8e136cf",
                "md5:c04e2c4bcd2389f53ed8281816166149",
                None,
            ),
            (
                *("amazon-book", "Amazon-book", AMAZON_TERMS, (52_643, 91_599, 2_984_108)),
                "md5:c916ecac04ca72300a016228258b41ed",
                "md5:30f8ccfea18d25007ba9fb9aba4e174d",
                None,
            ),
        )
    },
    "lastfm-lightgcn": _split(
        "Last.fm of HetRec 2011, split shipped with LightGCN-PyTorch",
        HETREC_TERMS,
        _LIGHTGCN,
        (1_880, 4_489, 52_668),
        {
            "train": (
                "data1.txt",
                "sha256:c82af3228cbbda2f55a39244de09ed93292894f1d0d9f1908ebb57e27598fded",
            ),
            "test": (
                "test1.txt",
                "sha256:de4417c0e6123284ce59a0934bcf5288ec1ec8774a18a1eef453c9952dfa48f9",
            ),
        },
        repository="gusye1234/LightGCN-PyTorch",
        folder="data/lastfm",
        local="lastfm-lightgcn",
        fmt="ncf",
        content="662f574b1a4205544fe8553f36f72900afaddedc0c8964b66d0064f85557479a",
    ),
    **{
        name: _split(
            title,
            licence,
            citation,
            counts,
            {"train": ("train.txt", f"sha256:{train}"), "test": ("test.txt", f"sha256:{test}")},
            repository="NoConst/MulSetRank",
            folder=f"data/{folder}",
            local=name,
            content=content,
        )
        for name, title, licence, citation, counts, folder, train, test, content in (
            (
                "amazon-book-kgat",
                "Amazon-book, split of KGAT (another one than that of LightGCN)",
                AMAZON_TERMS,
                "wang2019kgat: Wang et al., KGAT, KDD 2019",
                *((70_679, 24_915, 846_434), "amazon-book"),
                "4d10106bb06a77e11df660429903c0067aeb85b86431807836b0d8b7edc30c38",
                "f47eff9d35fb95c07d74251a991478a84095ce6c5969b0dafcb4afe99fc716ec",
                "288bdfe7b9a27a76995689d11bdc3cbe0f5e04ec8c55e54ef6b973d26aa796f9",
            ),
            (
                "ciao-mulsetrank",
                "Ciao, random split of MulSetRank",
                "J. Tang, ASU: research use with citation",
                "tang2012mtrust: Tang et al., mTrust, WSDM 2012",
                *((7_375, 105_114, 282_650), "ciao"),
                "f48f02de715814461ef638f99503bf08f86219fe4a01148de166b3ada9a5b97d",
                "20ecbd753a07a70369ceb4e1076462d8af8c6f41c04963b33f0a24c42781959f",
                "f666c907c2f1b4467f70586090cb671edc6dc629b7fe6ef49bbb6f5d13829522",
            ),
            (
                "epinions-mulsetrank",
                "Epinions, random split of MulSetRank",
                "P. Massa, trustlet.org: research use with citation",
                "massa2007trust: Massa and Avesani, Trust-aware Recommender Systems, RecSys 2007",
                *((40_163, 139_738, 664_823), "epinions"),
                "a58c5a335092e49cffef2a8b757cbac865a9878bed7925592b79f4057377db25",
                "c231cc74a03aa8edcb1db8843276072028bf4683ffb33982f53bbf0fc202074b",
                "ced013612e9fa5eea6413f4440bdbd5a7f40a8c41d85c8ffb98a400d52d09ed4",
            ),
        )
    },
}
"""Every named data set that comes as published parts."""
