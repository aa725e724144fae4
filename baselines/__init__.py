"""Simple baselines, imported as `recrepro.baselines`: one file an algorithm."""

if __name__ != "recrepro.baselines":
    raise ImportError(
        "this folder is the package recrepro.baselines: install the checkout with "
        "`pip install -e .` and import it by that name."
    )

MODELS: dict[str, str] = {
    "random": "recrepro.baselines.random:Random",
    "toppopular": "recrepro.baselines.toppopular:TopPopular",
    "recentpopularity": "recrepro.baselines.recentpopularity:RecentPopularity",
    "gptopfreq": "recrepro.baselines.gptopfreq:GPTopFreq",
    "globaleffects": "recrepro.baselines.globaleffects:GlobalEffects",
    "itemknn": "recrepro.baselines.itemknn:ItemKNN",
    "userknn": "recrepro.baselines.userknn:UserKNN",
    "itemknncbf": "recrepro.baselines.itemknncbf:ItemKNNCBF",
    "itemknncfcbf": "recrepro.baselines.itemknncbf:ItemKNNCFCBF",
    "userknncbf": "recrepro.baselines.userknncbf:UserKNNCBF",
    "userknncfcbf": "recrepro.baselines.userknncbf:UserKNNCFCBF",
    "p3alpha": "recrepro.baselines.p3alpha:P3alpha",
    "rp3beta": "recrepro.baselines.rp3beta:RP3beta",
    "slim": "recrepro.baselines.slim:SLIM",
    "slimbpr": "recrepro.baselines.slimbpr:SLIMBPR",
    "ease": "recrepro.baselines.ease:EASE",
    "edlae": "recrepro.baselines.edlae:EDLAE",
    "gfcf": "recrepro.baselines.gfcf:GFCF",
    "puresvd": "recrepro.baselines.puresvd:PureSVD",
    "nmf": "recrepro.baselines.nmf:NMF",
    "ials": "recrepro.baselines.ials:IALS",
    "ials2022": "recrepro.baselines.ials2022:IALS2022",
    "bprmf": "recrepro.baselines.bprmf:BPRMF",
    "funksvd": "recrepro.baselines.funksvd:FunkSVD",
    "asysvd": "recrepro.baselines.asysvd:AsymmetricSVD",
    "associationrules": "recrepro.baselines.associationrules:AssociationRules",
    "markovchain": "recrepro.baselines.markovchain:MarkovChain",
    "sequentialrules": "recrepro.baselines.sequentialrules:SequentialRules",
    "fpmc": "recrepro.baselines.fpmc:FPMC",
    "sknn": "recrepro.baselines.sknn:SKNN",
    "vsknn": "recrepro.baselines.vsknn:VSKNN",
    "stan": "recrepro.baselines.stan:STAN",
}
