"""The page of clustered people."""

import pytest

from mien.gallery.cluster.folder import ClusteredFolder
from mien.media.image import load_image
from mien.reports.clusters import render_clusters


@pytest.fixture
def folder(pipeline, portraits):
    made = ClusteredFolder(pipeline.contract.id)
    made.add(list(pipeline.analyse_many(portraits.values())))
    return made


def test_people_met_again_are_shown_and_the_others_counted(folder):
    page = render_clusters(folder, lambda path: load_image(path).pixels)
    assert page.count("<img") == 3
    assert "3 faces, mean cosine 0.7" in page
    assert "Met once</dt><dd>1<" in page


def test_pictures_that_are_gone_are_left_out_and_said(folder):
    page = render_clusters(folder, lambda _: None)
    assert page.count("<img") == 0
    assert "3 more are not shown" in page


def test_pictures_that_failed_are_listed_and_escaped(folder):
    page = render_clusters(folder, lambda _: None, skipped=[("<b>.jpg", "it is <cut> off")])
    assert "&lt;b&gt;.jpg: it is &lt;cut&gt; off" in page
