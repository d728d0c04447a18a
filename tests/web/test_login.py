"""The login form."""

from mien.core.errors import ThrottledError
from mien.server.principal import unauthorised
from mien.web.login import login_html


def test_the_form_needs_no_script_and_asks_for_nothing_from_elsewhere():
    page = login_html()
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert '<label for="key">' in page


def test_a_wrong_key_is_said_with_what_to_do():
    page = login_html(unauthorised("the API key has expired"))
    assert "The API key has expired." in page
    assert "Check that the whole key was copied" in page


def test_other_errors_bring_their_own_mend_and_are_escaped():
    page = login_html(ThrottledError(what="<b>", why="y", mend="wait"))
    assert "Wait." in page
    assert "<b>" not in page
