"""The table of other logs: one source each, which any split may divide."""

from recrepro.data.entry import NamedDataset, Source
from recrepro.data.terms import (
    AMAZON_TERMS,
    CITEULIKE_TERMS,
    HETREC_CITATION,
    HETREC_TERMS,
    STEAM_TERMS,
    YELP_TERMS,
    github,
)

LOGS: dict[str, NamedDataset] = {
    "citeulike-a": NamedDataset(
        "CiteULike-a: articles in the libraries of users",
        "https://github.com/js05212/citeulike-a",
        CITEULIKE_TERMS,
        "wang2011ctr: Wang and Blei, Collaborative Topic Modeling, KDD 2011",
        *(5_551, 16_980, 204_986),
        format="citeulike",
        sources={
            "interactions": Source(
                ("citeulike-a/users.dat",),
                github("js05212/citeulike-a", "users.dat"),
                "sha256:53211d82c14ff261e595634d285ed9fbf8049cf81dcb751d924d695b9612a02c",
            )
        },
        content="e48e01b731e43eca1a9f3b5179a2af7c83666a0da9142747f35971b8c03bee0e",
        family="Articles, books, music, images",
    ),
    "citeulike-t": NamedDataset(
        "CiteULike-t: articles in the libraries of users",
        "https://github.com/js05212/citeulike-t",
        CITEULIKE_TERMS,
        "wang2013ctrsr: Wang et al., Collaborative Topic Regression with Social "
        "Regularization, IJCAI 2013",
        *(7_947, 25_584, 134_860),
        format="citeulike",
        sources={
            "interactions": Source(
                ("citeulike-t/users.dat",),
                "https://raw.githubusercontent.com/js05212/citeulike-t/master/users.dat",
            )
        },
        content="ad1caa6cf6d585232ec037d0820b7fa00a0fbd5462128e247a31bbefacbedd16",
        family="Articles, books, music, images",
    ),
    "lastfm-hetrec2011": NamedDataset(
        "HetRec 2011, Last.fm: listening counts of artists",
        "https://grouplens.org/datasets/hetrec-2011/",
        HETREC_TERMS,
        HETREC_CITATION,
        *(1_892, 17_632, 92_834),
        format="tsv",
        sources={
            "interactions": Source(
                ("hetrec2011-lastfm-2k/user_artists.dat",),
                "https://files.grouplens.org/datasets/hetrec2011/hetrec2011-lastfm-2k.zip",
                "sha256:6738f48195667ff03caaab4d32ca9a3133d8cc026b7c3cdaf6ce1010e913c59c",
                "user_artists.dat",
            )
        },
        content="79e61db7527b4f42a05964eed598f25cb037e53a109fbcdd4ba51cf66942d14b",
        family="Articles, books, music, images",
    ),
    "lastfm-mcrec": NamedDataset(
        "Last.fm of HetRec 2011 with ids from 1, as MCRec and other HIN papers use it",
        "https://github.com/librahu/HIN-Datasets-for-Recommendation-and-Network-Embedding",
        HETREC_TERMS,
        HETREC_CITATION,
        *(1_892, 17_632, 92_834),
        format="ncf",
        sources={
            "interactions": Source(
                ("mcrec-lastfm/user_artist.dat",),
                github(
                    "MaurizioFD/RecSys2019_DeepLearning_Evaluation",
                    "Conferences/KDD/MCRec_github/Dataset-In-Papers_master/LastFM/user_artist.dat",
                ),
                "sha256:4303d1dccfd3b8b03c1e34f99710c4d99539c9fa9b54f654e34299efeefbff16",
            )
        },
        content="82cb146bdcc3e4e06aa66e856a0efe985fd03477c45a9d5cd4d5a26fd056c0b7",
        family="Articles, books, music, images",
    ),
    "bookcrossing": NamedDataset(
        "BookCrossing: ratings of books, 0 for a book without rating",
        "http://www2.informatik.uni-freiburg.de/~cziegler/BX/",
        "C.-N. Ziegler: free for research when acknowledged",
        "ziegler2005diversification: Ziegler et al., Improving Recommendation Lists, WWW 2005",
        *(105_283, None, None),
        format="semicolon",
        sources={
            "interactions": Source(
                ("bookcrossing/BX-Book-Ratings.csv",),
                format="semicolon",
                columns={"item": "ISBN", "value": "Book-Rating"},
                archives={"BX-CSV-Dump.zip": "BX-Book-Ratings.csv"},
            )
        },
        rows=1_149_780,
        family="Articles, books, music, images",
    ),
    "bookcrossing-caserec-history": NamedDataset(
        "BookCrossing cleaned for Case Recommender: what users read",
        "https://github.com/caserec/Datasets-for-Recommender-Systems",
        "C.-N. Ziegler: free for research when acknowledged",
        "ziegler2005diversification: Ziegler et al., Improving Recommendation Lists, WWW 2005",
        *(2_946, 17_384, 272_678),
        format="tsv",
        sources={
            "interactions": Source(
                ("bookcrossing-caserec/book_history.dat",),
                archives={"book_crossing.zip": "book_crossing/book_history.dat"},
            )
        },
        content="0a922c0bfb94d07051531c32947223f7875097e7523f552efd7487ed552179c0",
        family="Articles, books, music, images",
    ),
    "bookcrossing-caserec-ratings": NamedDataset(
        "BookCrossing cleaned for Case Recommender: ratings from 1 to 10",
        "https://github.com/caserec/Datasets-for-Recommender-Systems",
        "C.-N. Ziegler: free for research when acknowledged",
        "ziegler2005diversification: Ziegler et al., Improving Recommendation Lists, WWW 2005",
        *(1_295, 14_684, 62_656),
        format="tsv",
        sources={
            "interactions": Source(
                ("bookcrossing-caserec/book_ratings.dat",),
                archives={"book_crossing.zip": "book_crossing/book_ratings.dat"},
            )
        },
        content="48f6ae7cf73f1c1f31e04523e14c3ef7667e4a95ac65c7a4b410072cd04b246b",
        family="Articles, books, music, images",
    ),
    "epinions": NamedDataset(
        "Epinions: ratings of products, trustlet.org crawl",
        "http://www.trustlet.org/downloaded_epinions.html",
        "P. Massa, trustlet.org: research use with citation",
        "massa2007trust: Massa and Avesani, Trust-aware Recommender Systems, RecSys 2007",
        *(40_163, 139_738, None),
        format="ssv",
        sources={"interactions": Source(("epinions/ratings_data.txt",))},
        rows=664_824,
        family="Reviews and shops",
    ),
    "filmtrust": NamedDataset(
        "FilmTrust: ratings of films",
        "https://guoguibing.github.io/librec/datasets.html",
        "no licence stated; crawled for research, cite",
        "guo2013filmtrust: Guo et al., A Novel Bayesian Similarity Measure, IJCAI 2013",
        *(1_508, 2_071, None),
        format="ssv",
        sources={
            "interactions": Source(
                ("filmtrust/ratings.txt",),
                "https://guoguibing.github.io/librec/datasets/filmtrust.zip",
                "sha256:de4a55cb4ae26f663d88e9ad1ba1fae2d0d6d7a7499e37dc5245bab470c2d13c",
                "ratings.txt",
            )
        },
        rows=35_497,
        family="Reviews and shops",
    ),
    "netflix-prize": NamedDataset(
        "Netflix Prize: ratings of films, 1999 to 2005",
        "https://www.kaggle.com/datasets/netflix-inc/netflix-prize-data",
        "Netflix: research use, no redistribution; no longer served by Netflix",
        "bennett2007netflix: Bennett and Lanning, The Netflix Prize, KDD Cup 2007",
        *(480_189, 17_770, 100_480_507),
        format="netflix",
        sources={
            "interactions": Source(
                ("netflix/combined_data_*.txt", "netflix/training_set/mv_*.txt"),
                limit_mb=1_000,
                archives={
                    "netflix-prize-data.zip": "*combined_data_*.txt",
                    "training_set.tar": "*mv_*.txt",
                },
            )
        },
        family="Reviews and shops",
    ),
    "steam-purchases": NamedDataset(
        "Steam 200k: who bought which game",
        "https://www.kaggle.com/datasets/tamber/steam-video-games",
        STEAM_TERMS,
        "tamber2016steam: Tamber, Steam Video Games, Kaggle 2016",
        *(12_393, 5_155, 128_804),
        format="steam-purchases",
        sources={
            "interactions": Source(
                ("steam/steam-200k.csv",),
                format="steam-purchases",
                archives={"steam-video-games.zip": "steam-200k.csv"},
            )
        },
        rows=129_511,
        family="Games",
    ),
    "steam-plays": NamedDataset(
        "Steam 200k: for how many hours who played which game",
        "https://www.kaggle.com/datasets/tamber/steam-video-games",
        STEAM_TERMS,
        "tamber2016steam: Tamber, Steam Video Games, Kaggle 2016",
        *(11_350, 3_600, 70_477),
        format="steam-plays",
        sources={
            "interactions": Source(
                ("steam/steam-200k.csv",),
                format="steam-plays",
                archives={"steam-video-games.zip": "steam-200k.csv"},
            )
        },
        rows=70_489,
        family="Games",
    ),
    **{
        f"steam-caserec-{what}": NamedDataset(
            f"Steam 200k with ids from 1, Case Recommender: {title}",
            "https://github.com/caserec/Datasets-for-Recommender-Systems",
            STEAM_TERMS,
            "tamber2016steam: Tamber, Steam Video Games, Kaggle 2016",
            *counts,
            format="tsv",
            sources={
                "interactions": Source(
                    (f"steam-caserec/game_{file}.dat",),
                    columns=columns,
                    archives={"steam.zip": f"steam/game_{file}.dat"},
                )
            },
            rows=rows,
            content=content,
            family="Games",
        )
        for what, file, title, columns, counts, rows, content in (
            (
                "purchases",
                "purchase",
                "purchases",
                {},
                (12_393, 5_155, 128_804),
                129_511,
                "5c30b60b1f6df1b33b0b2f2bb9ceacd6d1ff5eaf7c78596bfef17232c409a4ce",
            ),
            (
                "plays",
                "play",
                "hours",
                {"value": "Hours"},
                (11_350, 3_600, 70_477),
                70_489,
                "0d07ce9d8292e8a1e077b10bb2b9f25cd044e24f1e5fbe9f1e1aa4f1484066df",
            ),
        )
    },
    **{
        f"retailrocket-caserec-{what}": NamedDataset(
            f"RetailRocket cleaned for Case Recommender: {what}",
            "https://github.com/caserec/Datasets-for-Recommender-Systems",
            "Retail Rocket: CC BY-NC-SA 4.0",
            "zykov2022retailrocket: Zykov et al., Retailrocket dataset, Kaggle 2022",
            *counts,
            format="tsv",
            sources={
                "interactions": Source(
                    (f"retailrocket-caserec/{file}_ecommerce.dat",),
                    archives={
                        "Retailrocket_Ecommerce.zip": f"RetailRocket_Ecommerce/{file}_ecommerce.dat"
                    },
                )
            },
            content=content,
            family="Reviews and shops",
        )
        for what, file, counts, content in (
            (
                "views",
                "view",
                (3_423, 8_878, 78_371),
                "883a9f490742839a16291b0a059da8990ebca247460d255e8490afa7d98fa0fc",
            ),
            (
                "purchases",
                "purchase",
                (824, 3_077, 5_088),
                "512684fb18f3b66a106f15d5e67c1f443a818f3f6a649a17a12b4d12cedcac53",
            ),
            (
                "carts",
                "add_to_cart",
                (1_557, 4_447, 9_028),
                "e901baef7d54b07cb706a072404d3231767c31b959d9dcfb3a421d3f26b4e630",
            ),
        )
    },
    "amazon-music-dmf": NamedDataset(
        "Amazon Digital Music, pruned for DMF",
        "https://github.com/MaurizioFD/RecSys2019_DeepLearning_Evaluation",
        AMAZON_TERMS,
        "xue2017dmf: Xue et al., Deep Matrix Factorization Models, IJCAI 2017",
        *(844, 18_813, 46_468),
        format="ssv",
        sources={
            "interactions": Source(
                ("amazon-music-dmf/Amazon_ratings_Digital_Music_pruned.txt",),
                github(
                    "MaurizioFD/RecSys2019_DeepLearning_Evaluation",
                    "Conferences/IJCAI/DMF_original/data_www/"
                    "Amazon_ratings_Digital_Music_pruned.txt",
                ),
                "sha256:db0a9f971d8106f179e57ad0087e6a524be38cc1bceed01ce31f9ca452ef6c8e",
            )
        },
        content="93ee2a6a840c6f2d50e5823f45b228e1150504206a12ea7b07534543b561fb81",
        family="Reviews and shops",
    ),
    "amazon-hin": NamedDataset(
        "Amazon Electronics, sample of HERec and other HIN papers",
        "https://github.com/librahu/HIN-Datasets-for-Recommendation-and-Network-Embedding",
        AMAZON_TERMS,
        "shi2018herec: Shi et al., HERec, IEEE TKDE 2018",
        *(6_170, 2_753, 195_791),
        format="ncf",
        sources={
            "interactions": Source(
                ("hin-amazon/user_item.dat",),
                github(
                    "librahu/HIN-Datasets-for-Recommendation-and-Network-Embedding",
                    "Amazon/user_item.dat",
                ),
                "sha256:d14fcc5b04f0d701d326149bc4f18d471156f189ff1f4d0fefa14511c4cb42c8",
            )
        },
        content="0a1cd645e6dd3ae34b19b354cfe837426de6c9d230252e38fe40a7e9606b97ba",
        family="Reviews and shops",
    ),
    "yelp-mcrec": NamedDataset(
        "Yelp, sample of HERec, MCRec and other HIN papers",
        "https://github.com/librahu/HIN-Datasets-for-Recommendation-and-Network-Embedding",
        YELP_TERMS,
        "shi2018herec: Shi et al., HERec, IEEE TKDE 2018",
        *(16_239, 14_284, 198_397),
        format="ncf",
        sources={
            "interactions": Source(
                ("mcrec-yelp/user_business.dat",),
                github(
                    "MaurizioFD/RecSys2019_DeepLearning_Evaluation",
                    "Conferences/KDD/MCRec_github/Dataset-In-Papers_master/Yelp/user_business.dat",
                ),
                "sha256:d57853e95c3f49f0060f31ee9365ab3fffe1010999c76863c3cd9628b91e994d",
            )
        },
        content="8e53850a7a93f59f4675a1cf91a0931fc2046f2078442887aa4d58df5b0be1cf",
        family="Reviews and shops",
    ),
    **{
        f"s3rec-{name}": NamedDataset(
            f"{title} sequences of S3-Rec; times are places in the sequence",
            "https://github.com/RUCAIBox/CIKM2020-S3Rec",
            terms,
            "zhou2020s3rec: Zhou et al., S3-Rec, CIKM 2020",
            *counts,
            format="sequence",
            sources={
                "interactions": Source(
                    (f"s3rec-sequences/{file}.txt",),
                    github("RUCAIBox/CIKM2020-S3Rec", f"data/{file}.txt"),
                    f"sha256:{checksum}",
                )
            },
            rows=rows,
            content=content,
            family="Sequences of S3-Rec",
        )
        for name, title, file, terms, counts, rows, checksum, content in (
            (
                "beauty",
                "Amazon Beauty",
                "Beauty",
                AMAZON_TERMS,
                (22_363, 12_101, 198_502),
                198_502,
                "226cce9c3105299ca0db9615d7d3fb32b3175e90da43100ae352599f0f0107b8",
                "244cb66ad054ec402dc76a822f2994aaf1e47dd327bfaa13ce5810755bbfd9c3",
            ),
            (
                "sports",
                "Amazon Sports",
                "Sports_and_Outdoors",
                AMAZON_TERMS,
                (35_598, 18_357, 296_337),
                296_337,
                "2a095e0648872beb9982408958290f5d655db5be2911c3756b5446de9f0b8de2",
                "3dc7504c6e032bf85185c8bb2b9410149e25f606d4ed5466e8573e6a3d2c8e1e",
            ),
            (
                "toys",
                "Amazon Toys",
                "Toys_and_Games",
                AMAZON_TERMS,
                (19_412, 11_924, 167_597),
                167_597,
                "176c680c688d497598c4a89a03b402c0fe78d795e5db335c2e78dd5f2d778a3f",
                "0b350a31d992984f20d3c6316064c0ebbb74e55c08eb3d085c0a7243c5be5bce",
            ),
            (
                "yelp",
                "Yelp",
                "Yelp",
                YELP_TERMS,
                (30_431, 20_033, 304_524),
                316_354,
                "724b219106b81dd2349027da997334ddb6da9fe2f152ad6e0d97a93170f7caed",
                "dfa846d26775f8b8e597a310a7db0436a227c759a4c37b461cb7e6c42e1a8a60",
            ),
            (
                "lastfm",
                "Last.fm",
                "LastFM",
                HETREC_TERMS,
                (1_090, 3_646, 52_551),
                52_551,
                "9ded486adb5b0fe9dc761950afa0a9a05e93ff018992e0c52bf11afec529f802",
                "038b7c30a2001a22793b19b4e91914fe547c2f29013be26e008f89581f39293f",
            ),
        )
    },
}
"""Logs that are neither of MovieLens nor categories of Amazon."""
