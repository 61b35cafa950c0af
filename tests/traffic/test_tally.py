from typing import Final

from prometheus_client import REGISTRY

from services.traffic.tally import Tally

HIT: Final = (
    b'{"time":"2026-01-15T10:30:00+00:00","path":"/img_0123456789abcdef?w=5","method":"%s","status":200,'
    b'"bytes":700,"seconds":0.004,"route":"/{image_id}","cache":"HIT"}'
)


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


def test_a_line_is_counted_by_route_method_status_and_cache() -> None:
    labels = {"route": "/{image_id}", "method": "GET", "status": "200", "cache": "HIT"}
    before = value("edge_requests_total", **labels)
    sent = value("edge_sent_bytes_total", route="/{image_id}", cache="HIT")
    quick = value("edge_request_seconds_bucket", route="/{image_id}", cache="HIT", le="0.005")
    Tally().count([HIT % b"GET"] * 3)
    assert value("edge_requests_total", **labels) == before + 3
    assert value("edge_sent_bytes_total", route="/{image_id}", cache="HIT") == sent + 2100
    assert value("edge_request_seconds_bucket", route="/{image_id}", cache="HIT", le="0.005") == quick + 3


def test_a_method_that_a_client_made_up_is_no_label() -> None:
    labels = {"route": "/{image_id}", "method": "other", "status": "200", "cache": "HIT"}
    before = value("edge_requests_total", **labels)
    Tally().count([HIT % b"BREW"])
    assert value("edge_requests_total", **labels) == before + 1


def test_a_path_that_is_no_text_does_no_harm() -> None:
    counted = value("access_log_lines_total", end="counted")
    Tally().count([(HIT % b"GET").replace(b"img_", b"\xff\xfe")])
    assert value("access_log_lines_total", end="counted") == counted + 1


def test_what_is_no_line_of_nginx_is_counted_as_such() -> None:
    unreadable = value("access_log_lines_total", end="unreadable")
    Tally().count([b"", b"{", b'{"status":"up"}'])
    assert value("access_log_lines_total", end="unreadable") == unreadable + 3
