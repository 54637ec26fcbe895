import pytest

from streamproc.errors import SettingsError
from streamproc.llm.endpoint import Endpoint


@pytest.mark.parametrize(
    "url", ["https://m.example/v1", "https://m.example/v1/", " https://m.example/v1/chat/completions "]
)
def test_the_base_url_may_be_given_in_several_ways(url):
    assert Endpoint.of(url, "tiny").completions_url == "https://m.example/v1/chat/completions"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "m.example",
        "ftp://m.example",
        "http://",
        "http://m:99999/",
        "http://m/?a=b",
        "http://a b/v1",
        "http://[::1",
        "http://é..x/",
    ],
)
def test_what_is_no_base_url_is_refused(url):
    with pytest.raises(SettingsError, match="no base URL"):
        Endpoint.of(url, "tiny")


def test_the_model_needs_a_name():
    with pytest.raises(SettingsError, match="needs a name"):
        Endpoint.of("http://m", " ")


def test_the_key_comes_from_the_environment_and_is_never_shown(monkeypatch):
    monkeypatch.setenv("MY_KEY", " secret\n")
    endpoint = Endpoint.of("http://m", "tiny", "MY_KEY")
    assert endpoint.key == "secret"
    assert "secret" not in repr(endpoint)


def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(monkeypatch):
    monkeypatch.setenv("STREAMPROC_LLM_KEY", "schlüssel")
    with pytest.raises(SettingsError, match="STREAMPROC_LLM_KEY") as caught:
        Endpoint.of("http://m", "tiny")
    assert "schl" not in str(caught.value)


def test_a_key_in_the_url_is_refused_without_showing_it():
    with pytest.raises(SettingsError, match="STREAMPROC_LLM_KEY") as caught:
        Endpoint.of("https://me:secret@m.example/v1", "tiny")
    assert "secret" not in str(caught.value)
