import msbench


def test_every_exported_name_exists() -> None:
    for name in msbench.__all__:
        assert getattr(msbench, name) is not None
    assert sorted(msbench.__all__, key=lambda n: (n.lower(), n)) == sorted(
        set(msbench.__all__), key=lambda n: (n.lower(), n)
    )


def test_late_names_are_exported() -> None:
    assert set(msbench._HOME) <= set(msbench.__all__)


def test_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(msbench, "optimiser")
