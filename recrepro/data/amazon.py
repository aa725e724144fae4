"""The table of Amazon reviews: the 5-core file of each category, of 2014 and of 2018."""

from recrepro.data.entry import NamedDataset, Source
from recrepro.data.terms import AMAZON_TERMS

_HE2016 = "he2016ups: He and McAuley, Ups and Downs, WWW 2016"
_NI2019 = "ni2019justifying: Ni et al., Justifying Recommendations, EMNLP 2019"

_AMAZON_2014 = {
    "instant-video": ("Amazon_Instant_Video", 37_126, None),
    "apps-for-android": ("Apps_for_Android", 752_937, None),
    "automotive": ("Automotive", 20_473, None),
    "baby": ("Baby", 160_792, None),
    "beauty": ("Beauty", 198_502, (22_363, 12_101)),
    "books": ("Books", 8_898_041, None),
    "cds": ("CDs_and_Vinyl", None, None),  # 1,097,591 or 1,097,592: sources differ
    "cell-phones": ("Cell_Phones_and_Accessories", 194_439, None),
    "clothing": ("Clothing_Shoes_and_Jewelry", 278_677, None),
    "digital-music": ("Digital_Music", 64_706, None),
    "electronics": ("Electronics", None, None),  # 1,689,188 or a few fewer
    "grocery": ("Grocery_and_Gourmet_Food", 151_254, None),
    "health": ("Health_and_Personal_Care", 346_355, None),
    "home": ("Home_and_Kitchen", 551_682, None),
    "kindle": ("Kindle_Store", 982_619, None),
    "movies": ("Movies_and_TV", None, None),  # 1,697,533, or one fewer
    "musical-instruments": ("Musical_Instruments", 10_261, None),
    "office": ("Office_Products", 53_258, None),
    "patio": ("Patio_Lawn_and_Garden", 13_272, None),
    "pets": ("Pet_Supplies", 157_836, None),
    "sports": ("Sports_and_Outdoors", 296_337, (35_598, 18_357)),
    "tools": ("Tools_and_Home_Improvement", 134_476, None),
    "toys": ("Toys_and_Games", 167_597, (19_412, 11_924)),
    "video-games": ("Video_Games", 231_780, None),
}
"""Our name to the publisher's, rows, and users and items, each where it is known."""

_AMAZON_2018 = {
    "all-beauty": ("All_Beauty", None),
    "appliances": ("Appliances", None),
    "arts-crafts": ("Arts_Crafts_and_Sewing", 494_485),
    "automotive": ("Automotive", 1_711_519),
    "books": ("Books", 27_164_983),
    "cds": ("CDs_and_Vinyl", 1_443_755),
    "cell-phones": ("Cell_Phones_and_Accessories", 1_128_437),
    "clothing": ("Clothing_Shoes_and_Jewelry", 11_285_464),
    "digital-music": ("Digital_Music", None),
    "electronics": ("Electronics", 6_739_590),
    "fashion": ("AMAZON_FASHION", None),
    "gift-cards": ("Gift_Cards", None),
    "grocery": ("Grocery_and_Gourmet_Food", 1_143_860),
    "home": ("Home_and_Kitchen", 6_898_955),
    "industrial": ("Industrial_and_Scientific", None),
    "kindle": ("Kindle_Store", 2_222_983),
    "luxury-beauty": ("Luxury_Beauty", None),
    "magazines": ("Magazine_Subscriptions", None),
    "movies": ("Movies_and_TV", 3_410_019),
    "musical-instruments": ("Musical_Instruments", None),
    "office": ("Office_Products", None),
    "patio": ("Patio_Lawn_and_Garden", None),
    "pets": ("Pet_Supplies", 2_098_325),
    "prime-pantry": ("Prime_Pantry", None),
    "software": ("Software", 12_805),
    "sports": ("Sports_and_Outdoors", 2_839_940),
    "tools": ("Tools_and_Home_Improvement", 2_070_831),
    "toys": ("Toys_and_Games", 1_828_971),
    "video-games": ("Video_Games", None),
}
"""Our name to the publisher's, and rows where they are known."""


def _amazon(
    year: int, theirs: str, rows: int | None, users_items: tuple[int, int] | None = None
) -> NamedDataset:
    """Describe the 5-core reviews of a category."""
    at, file, homepage, citation = {
        2014: (
            "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles/",
            f"reviews_{theirs}_5.json.gz",
            "https://jmcauley.ucsd.edu/data/amazon/links.html",
            _HE2016,
        ),
        2018: (
            "https://jmcauley.ucsd.edu/data/amazon_v2/categoryFilesSmall/",
            f"{theirs}_5.json.gz",
            "https://nijianmo.github.io/amazon/index.html",
            _NI2019,
        ),
    }[year]
    users, items = users_items or (None, None)
    return NamedDataset(
        f"Amazon reviews {year}, {theirs.replace('_', ' ')}, 5-core",
        homepage,
        AMAZON_TERMS,
        citation,
        *(users, items, rows if users_items else None),
        format="jsonl",
        sources={
            "interactions": Source(
                (f"amazon-{year}/{file.removesuffix('.gz')}",), f"{at}{file}", limit_mb=12_000
            )
        },
        rows=rows,
        family=f"Amazon reviews {year}, 5-core",
    )


AMAZON: dict[str, NamedDataset] = {
    **{
        f"amazon-{name}-2014": _amazon(2014, theirs, rows, users_items)
        for name, (theirs, rows, users_items) in _AMAZON_2014.items()
    },
    **{
        f"amazon-{name}-2018": _amazon(2018, theirs, rows)
        for name, (theirs, rows) in _AMAZON_2018.items()
    },
}
"""Every category of either release."""
