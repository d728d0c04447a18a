"""``mien capacity``."""


def test_sizes_and_what_they_cost(mien, tmp_path):
    rows = mien("capacity", "--json", "--out", tmp_path / "page.html").rows()
    assert [row["faces"] for row in rows] == [10**k for k in range(4, 10)]
    assert rows[2]["ms"]["int8"] < rows[2]["ms"]["float32"]
    assert rows[5]["is_supported"] is False
    assert rows[5]["threshold"] is None
    assert "<table" in (tmp_path / "page.html").read_text()


def test_a_person_sees_what_is_not_supported(mien):
    answer = mien("capacity")
    assert "not supported" in answer.out
    assert "computed from measurements on" in answer.err


def test_a_rate_that_is_none_is_refused(mien):
    assert mien("capacity", "--fpir", "2").code == 2
