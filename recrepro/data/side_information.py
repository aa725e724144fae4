"""The table of side information: what each named data set brings besides interactions."""

from collections.abc import Mapping

from recrepro.data.entry import FeatureSource, Source
from recrepro.data.formats.side import Columns, Flags, Layout, Lists, Pairs
from recrepro.data.terms import github
from recrepro.features import Side

_GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime"),
    *("Documentary", "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery"),
    *("Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
_MOVIELENS_ZIPS = {
    "100k": "sha256:50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
    "1m": "sha256:a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
    "latest-small": "sha256:696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
}
_HETREC = "https://files.grouplens.org/datasets/hetrec2011/hetrec2011-lastfm-2k.zip"
_HETREC_ZIP = "sha256:6738f48195667ff03caaab4d32ca9a3133d8cc026b7c3cdaf6ce1010e913c59c"
_DACREMA = "MaurizioFD/RecSys2019_DeepLearning_Evaluation"
_HIN = "librahu/HIN-Datasets-for-Recommendation-and-Network-Embedding"
_MCREC = "Conferences/KDD/MCRec_github/Dataset-In-Papers_master"

_LATEST = Columns(("genres",), header=True, absent="(no genres listed)")

Sets = Mapping[str, FeatureSource]


def _movielens(
    release: str, side: Side, file: str, layout: Layout, content: str | None = None
) -> FeatureSource:
    url = f"https://files.grouplens.org/datasets/movielens/ml-{release}.zip"
    member = f"ml-{release}/{file}"
    source = Source((member,), url, _MOVIELENS_ZIPS[release], member)
    return FeatureSource(side, source, layout, content=content)


def _file(
    side: Side,
    local: str,
    url: str,
    sha256: str | None,
    layout: Layout,
    content: str,
    *,
    links: bool = False,
) -> FeatureSource:
    checksum = None if sha256 is None else f"sha256:{sha256}"
    return FeatureSource(side, Source((local,), url, checksum), layout, links, content)


_OF_MOVIELENS_100K: Sets = {
    "genres": _movielens(
        "100k",
        "item",
        "u.item",
        Flags(5, _GENRES, encoding="latin-1"),
        content="ab84d647a40f6febe48f1d8a2ea75884a0bb2217f68c97c6028f9994f6df1271",
    ),
    "demographics": _movielens(
        "100k",
        "user",
        "u.user",
        Columns((1, 2, 3), delimiter="|", names=("age", "gender", "occupation"), within="\n"),
        content="3abf44d2f76a139ffd2265e525dba946d7c9903c421b7c329a5a5c4ced51899a",
    ),
}

_OF_CITEULIKE_A: Sets = {
    "tags": _file(
        "item",
        "citeulike-a/item-tag.dat",
        github("js05212/citeulike-a", "item-tag.dat"),
        "0f7b432796a5038ed2631c02b99d70e636123673afc11bf9e051de5b49467890",
        Lists(),
        "5e79bc9bcd5a6042b7c31b423d114621e79880b3984335a0e15ea40b40f311af",
    ),
    "citations": _file(
        "item",
        "citeulike-a/citations.dat",
        github("js05212/citeulike-a", "citations.dat"),
        "78458ba6b6f013552c43f47dbec1c2d19073820155c40567744cd8a038044364",
        Lists(),
        "98ebf149bbf723d79ee78cb3842522e9cc3afdc9ff67e573bc316d040f1e766a",
        links=True,
    ),
}

_CITEULIKE_T = "https://raw.githubusercontent.com/js05212/citeulike-t/master"
_OF_CITEULIKE_T: Sets = {
    "words": _file(
        "item",
        "citeulike-t/mult.dat",
        f"{_CITEULIKE_T}/mult.dat",
        "5ed81e6fdbf8d475122d4a18d622202571ac80f27be017e194a1957da585283d",
        Lists(counted=True),
        "c04c2bfaa46dc97a374495ce0468124f00b1e759247b7a243f5dac901abc1c23",
    ),
    "tags": _file(
        "item",
        "citeulike-t/tag-item.dat",
        f"{_CITEULIKE_T}/tag-item.dat",
        "e2b80fc0e023780b63c00a397a2d0934eff6dbaf8a1b918778698361dae7ce6b",
        Lists(by_feature=True),
        "d0a68efa9ee8fc0ed6191b36fba57712a7a9c45749e2824e93a03b15b13499d6",
    ),
    "citations": _file(
        "item",
        "citeulike-t/citations.dat",
        f"{_CITEULIKE_T}/citations.dat",
        "fd932be626da8303c2773eb1a07c8aa6c2a6de2d0ac10941f325d63dc86c0080",
        Lists(),
        "f612e92ba4780f9abd1358396f77b0cf5664a31d8640ecb8c4a7a4dfb93fa470",
        links=True,
    ),
}

_OF_AMAZON_HIN: Sets = {
    name: _file(
        "item",
        f"hin-amazon/item_{file}.dat",
        github(_HIN, f"Amazon/item_{file}.dat"),
        sha256,
        Pairs(","),
        content,
    )
    for name, file, sha256, content in (
        (
            *("brands", "brand"),
            "65f4eaddff343a365ad474a6841bbaf541af1b2d96081c4adaeeeb8a7a8a313b",
            "e73dd46f78ffbd687462bdf4d98a29ecc33c47d606bc084e7445d787a6579ec4",
        ),
        (
            *("categories", "category"),
            "17b9158f777fbb0b8b035a9b675c2f7d2e9f7ad81f34919d3e6db4289c9dc6bf",
            "689a24ac592db336a26b3a99f713b9433f2c98115838c5fed822b1c5c14a738f",
        ),
        (
            *("views", "view"),
            "42b1aec0a0eb9d71a265efb491dd951b523723637bb18f80f87c72d4fa6819da",
            "2bc4db354ea05a79fed895b9647cea5ec6195aeb925ddf48a01b06692e121526",
        ),
    )
}

SIDE_INFORMATION: Mapping[str, Sets] = {
    "movielens-100k": _OF_MOVIELENS_100K,
    "movielens-100k-mcrec": _OF_MOVIELENS_100K,
    "movielens-1m": {
        "genres": _movielens(
            "1m",
            "item",
            "movies.dat",
            Columns((2,), delimiter="::", names=("genre",), encoding="latin-1"),
            content="e43846d166b94f9aa1920edb93c0381acc74c4ae31289023b9e4dc8c61b9291e",
        ),
        "demographics": _movielens(
            "1m",
            "user",
            "users.dat",
            Columns((1, 2, 3), delimiter="::", names=("gender", "age", "occupation")),
            content="4a0be668676e662fd5984d85f01ff81742cc17894cc9383a4587b72cfcefdc82",
        ),
    },
    "movielens-latest-small": {
        "genres": _movielens("latest-small", "item", "movies.csv", _LATEST),
    },
    "movielens-latest-small-2016": {
        "genres": FeatureSource(
            "item",
            Source(("ml-latest-small-2016/movies.csv", "ml-latest-small/movies.csv")),
            _LATEST,
            content="b528c2087aa7a51873a8acd65afdc259a1ab942da53c85239216405abb52bd6a",
        ),
    },
    "citeulike-a": _OF_CITEULIKE_A,
    "citeulike-a-cvae-p1": _OF_CITEULIKE_A,
    "citeulike-a-cvae-p10": _OF_CITEULIKE_A,
    "citeulike-a-cmn": _OF_CITEULIKE_A,
    "citeulike-t": _OF_CITEULIKE_T,
    "citeulike-t-cvae-p1": _OF_CITEULIKE_T,
    "lastfm-hetrec2011": {
        "friends": FeatureSource(
            "user",
            Source(
                ("hetrec2011-lastfm-2k/user_friends.dat",),
                _HETREC,
                _HETREC_ZIP,
                "user_friends.dat",
            ),
            Pairs(header=True),
            links=True,
            content="aa324996fc188932598b42060fae39ce717d66444d1cf8b7b24834ea84068af7",
        ),
    },
    "lastfm-mcrec": {
        "tags": _file(
            "item",
            "mcrec-lastfm/artist_tag.dat",
            github(_DACREMA, f"{_MCREC}/LastFM/artist_tag.dat"),
            "263e61b0a2a5c06c3994540a2cb732dd2c9d8fafcbe44e7a51a6f18e59f618de",
            Pairs(),
            "8698f19e3b90d98a7626dc949c7a45aef80db88ee8f151ee5da45c1c6b7c54a0",
        ),
        "friends": _file(
            "user",
            "mcrec-lastfm/user_user_original.dat",
            github(_DACREMA, f"{_MCREC}/LastFM/user_user(original).dat"),
            "eb2f3eb5dbee61161923d0231874cce574c33cea8b9f331d912b1642a1cd29ba",
            Pairs(),
            "d5420d25cba3b6b3f31b102290b4b317896e35bb613ab1f1dea95c9a8ca03701",
            links=True,
        ),
    },
    "lastfm-lightgcn": {
        "friends": _file(
            "user",
            "lastfm-lightgcn/trustnetwork.txt",
            github("gusye1234/LightGCN-PyTorch", "data/lastfm/trustnetwork.txt"),
            "5b5bd7cbe4d22f3cd333dbfc7ec4b995cb2bdb28d95b0e9c5fc5607079f7b69e",
            Pairs(),
            "d5420d25cba3b6b3f31b102290b4b317896e35bb613ab1f1dea95c9a8ca03701",
            links=True,
        ),
    },
    "yelp-mcrec": {
        "categories": _file(
            "item",
            "mcrec-yelp/business_category.dat",
            github(_DACREMA, f"{_MCREC}/Yelp/business_category.dat"),
            "d3c1499e406c0a842b3c08c478ffe7bf26a8758b630e0b056d0f4bcf18c01a5b",
            Pairs(),
            "c59169b3cc80360c1eb2895b4108c2bd8fa2414a4f3eca88db6acdec643807a3",
        ),
        "cities": _file(
            "item",
            "mcrec-yelp/business_city.dat",
            github(_DACREMA, f"{_MCREC}/Yelp/business_city.dat"),
            "09c009dfa16709aff52de4831b9cb30f45a16dcfce1db06858d54af6ef5f7d1e",
            Pairs(),
            "59572a8de6aa1dedc750b01444cc38da65ab1d34449c1792b0a097fa27077a9c",
        ),
    },
    "amazon-hin": _OF_AMAZON_HIN,
}
"""By name of the data set, and by name of the feature set."""
