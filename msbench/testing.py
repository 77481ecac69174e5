"""`msbench check` for the tests of a plugin: one line of pytest.

    import msbench.testing

    def test_my_plugin() -> None:
        msbench.testing.check("my-plugin")

Everything runs in processes of their own, as in `msbench check`; what each check demands is in
docs/check.md.
"""

from msbench.checks.findings import ok, told
from msbench.checks.run import LIMIT, findings_of, names_of


def check(
    name_or_path: str, *, reference: str = "", limit: float = LIMIT, plugins: tuple[str, ...] = ()
) -> None:
    """AssertionError with an explanation of everything that is wrong with these parts.

    name_or_path: a part (`optimizer:my-adamw`, or its name alone), a plugin's file
    (`src/mine.py`), or an installed package with all its parts (`msbench-mine`).
    reference: what an optimizer's steps must equal: `module:factory`, a name that msbench knows
    (`adamw`), `none`, or "" for what its name promises.
    limit: seconds that one check may take. plugins: files to load besides what is installed.
    MsbenchError if there is no such part, file or package.
    """
    found = list(findings_of([name_or_path], reference=reference, limit=limit, plugins=plugins))
    assert ok(found), "\n".join(["", *told(found)])


def parts(name_or_path: str, *, plugins: tuple[str, ...] = ()) -> list[str]:
    """The parts there, by names that `check` takes: for `pytest.mark.parametrize`."""
    return names_of([name_or_path], plugins=plugins)
