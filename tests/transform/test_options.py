"""What a URL asks for, and the sizes that come of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.errors import ApiError
from libs.pictures import MAX_OUTPUT_PIXELS, MAX_OUTPUT_SIDE, Format, Rendition
from services.transform.options import Options, parse, resolve


def picture(width: int, height: int, uploaded: Format = Format.JPEG) -> Rendition:
    return Rendition(
        width=width,
        height=height,
        bands=3,
        format=uploaded.value,
        full_width=width,
        full_height=height,
        uploaded=uploaded,
    )


def test_nothing_asked_for_is_the_defaults() -> None:
    assert parse({}) == parse({"w": "", "h": "", "q": "", "f": ""}) == Options(None, None, 85, None)


def test_everything_asked_for_is_read() -> None:
    assert parse({"w": "1", "h": "4096", "q": "100", "f": "WebP"}) == Options(1, 4096, 100, Format.WEBP)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name in "wh"
        for value in ("0", "4097", "-1", "1.5", "abc", "1e2", "٣", " 1", "invalid")
    ]
    + [("q", value) for value in ("0", "101", "x")]
    + [("f", value) for value in ("gif", "avif", "invalid", "jpg ")],
)
def test_a_value_out_of_range_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(ApiError, match=f"INVALID_PARAMETER: {name} must be"):
        parse({name: value})


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(width=200), (200, 150, 200, 150)),
        (Options(height=150), (200, 150, 200, 150)),
        (Options(width=100, height=100), (100, 100, 133, 100)),
        (Options(width=400, height=100), (400, 100, 400, 300)),
        (Options(width=1), (1, 1, 1, 1)),
        (Options(width=1600), (1600, 1200, 1600, 1200)),
        (Options(format=Format.PNG), (800, 600, 800, 600)),
    ],
)
def test_sizes_of_an_800_by_600_picture(options: Options, expected: tuple[int, ...]) -> None:
    output = resolve(options, picture(800, 600))
    assert output
    assert (output.width, output.height, output.scaled_width, output.scaled_height) == expected


@pytest.mark.parametrize(
    "options",
    [
        Options(),
        Options(format=Format.JPEG),
        Options(width=800),
        Options(height=600),
        Options(width=800, height=600),
    ],
)
def test_what_is_stored_already_is_not_rendered(options: Options) -> None:
    assert resolve(options, picture(800, 600)) is None


def test_quality_means_nothing_to_a_png() -> None:
    assert resolve(Options(quality=10), picture(800, 600, Format.PNG)) is None
    assert resolve(Options(quality=10), picture(800, 600, Format.JPEG)) is not None


def test_the_largest_upload_is_served_as_it_is_without_parameters() -> None:
    assert resolve(Options(), picture(8000, 6250)) is None


@pytest.mark.parametrize(
    ("options", "width", "height"),
    [
        (Options(height=4096), 12_000, 10),
        (Options(width=4096), 10, 12_000),
        (Options(format=Format.WEBP), 8000, 6250),
        (Options(width=4096), 4000, 4100),
    ],
)
def test_an_output_over_the_limits_is_refused_before_any_pixel(
    options: Options, width: int, height: int
) -> None:
    with pytest.raises(ApiError, match="INVALID_PARAMETER: The output would be"):
        resolve(options, picture(width, height))


sides = st.integers(1, 12_000)
asked = st.one_of(st.none(), st.integers(1, 4096))


@given(asked, asked, sides, sides)
def test_a_side_asked_for_is_met_exactly_and_the_other_in_proportion(
    width: int | None, height: int | None, full_width: int, full_height: int
) -> None:
    options = Options(width, height, 1)
    try:
        output = resolve(options, picture(full_width, full_height))
    except ApiError:
        return
    assert output
    assert output.width == (width or output.width)
    assert output.height == (height or output.height)
    assert output.scaled_width >= output.width >= 1
    assert output.scaled_height >= output.height >= 1
    assert output.width * output.height <= MAX_OUTPUT_PIXELS
    assert max(output.width, output.height) <= MAX_OUTPUT_SIDE
    if width and not height:
        assert abs(output.height - max(1, full_height * width / full_width)) <= 0.5
    if height and not width:
        assert abs(output.width - max(1, full_width * height / full_height)) <= 0.5


@given(
    st.builds(Options, asked, asked, st.integers(1, 100)),
    st.builds(Options, asked, asked, st.integers(1, 100)),
)
def test_validators_differ_exactly_where_options_do(one: Options, other: Options) -> None:
    assert (one.etag("img_1") == other.etag("img_1")) == (one == other)
    assert one.etag("img_1") != one.etag("img_2")
