import pytest

from services.auth.limiter import network


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        ("unix:", "unix:"),
    ],
)
def test_an_ipv4_address_is_counted_alone_and_an_ipv6_one_with_its_network(
    address: str, counted: str
) -> None:
    assert network(address) == counted
