"""Strings that break out of where they are put, and records in which everything is called so."""

import itertools
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from handmade import rekeyed

REFERENCE = Path(__file__).parents[1] / "tests/kept"

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "</style><img src=x onerror=alert(3)>",
    '"><img src=x onerror=alert(4)>',
    "'><svg onload=alert(5)>",
    "</svg><script>alert(6)</script>",
    "</text></g></svg><iframe src=javascript:alert(7)></iframe>",
    "<svg><style><img title='</style><img src=x onerror=alert(8)>'></svg>",
    "<math><mtext><mglyph><style><!--</style><img title='--&gt;<img src=1 onerror=alert(9)>'>",
    "<foreignObject><body onload=alert(10)></foreignObject>",
    "]]><script>alert(11)</script><![CDATA[",
    "--><script>alert(12)</script><!--",
    "</title><script>alert(13)</script>",
    "{{ 7 * 7 }}{% for x in y %}",
    "{{ self.__init__.__globals__ }}",
    "$x^2$ and $\\frac{1}{0}$",
    "&lt;b&gt; &amp; &#60;i&#62; &",
    '" onmouseover="alert(18)" x="\'`',
    "javascript:alert(19)",
    "\x1b[31mred\x1b[0m \x07\x08",
    "\u202eright to left\u200f \u2066isolated",
    "null\x00 and \ue000 and \ufffe",
    "line one\nline two\r\n\tthree",
    "url(#p1) href='#x' id=\"summary\" style=x:expression(alert(24))",
    "long " + "W" * 145 + " " + "長" * 149,
]


def hostile_records(names: list[str]) -> list[dict[str, Any]]:
    """Two tasks, a baseline and 25 strategies with these names, and what else a record may say."""
    lines = (REFERENCE / "quick/trials.jsonl").read_text().splitlines()
    template = next(r for r in map(json.loads, lines) if r["job"]["task"]["name"] == "headlines")
    records = []
    for task, strategy, seed in itertools.product(range(2), range(len(names) + 1), range(3)):
        record = deepcopy(template)
        job, results = record["job"], record["results"]
        at = (strategy + 12 * task) % len(names)
        name, plugin, version = ["adamw", *names][strategy], names[at], names[-at - 1]
        job["task"]["label"] = names[task] + names[task + 2]
        job["model"]["label"], job["schedule"]["label"] = names[4], names[5]
        job["optimizer"] |= {"label": name, "plugin": plugin, "version": version}
        job["optimizer"]["options"] |= {plugin: version}
        job |= {"seed": seed, "data": names[6]}
        record["machine"] = {"processor": names[7], names[8]: names[9]}
        results["task"]["metric"] = names[10]
        for number, decoded in enumerate(results["decoding"]):
            decoded["decoder"] = job["decoders"][number]
            decoded["decoder"]["label"] = names[11 + number]
            score = 0.3 - strategy / 100 + number / 50 + seed / 500
            decoded |= {"metrics": {names[10]: score}, "examples": {}}
            decoded |= dict.fromkeys(("steps", "positions", "length_ratio", "empty"), 1)
        if seed == 2:
            record |= {"status": "crashed", "reason": names[at], "results": {}}
        records.append(rekeyed(record))
    return records
