import pytest

from hitlog.agents import browser, is_bot, is_mobile

CHROME = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/126.0 Safari/537.36"


@pytest.mark.parametrize(
    "agent",
    ["Googlebot/2.1", "Mozilla (compatible; bingbot/2.0)", "curl/8.1", "Wget/1.2", "", "-", " - "],
)
def test_bots(agent):
    assert is_bot(agent)


@pytest.mark.parametrize("agent", [CHROME, "Firefox/127.0", "Robotics Weekly Reader"])
def test_people(agent):
    assert not is_bot(agent)


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (CHROME, "Chrome"),
        (CHROME + " Edg/126.0", "Edge"),
        (CHROME + " OPR/111", "Opera"),
        ("Version/17.5 Safari/604.1", "Safari"),
        ("FIREFOX/127", "Firefox"),
        ("Lynx/2.9", "other"),
    ],
)
def test_browser(agent, name):
    assert browser(agent) == name


def test_mobile():
    assert is_mobile("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5)")
    assert is_mobile("Android 14")
    assert not is_mobile(CHROME)
