import numpy as np
import pytest

from lesionlens.export.clinical_photos import KINDS, clinical_photo, draw_skin
from lesionlens.export.skin_tone import shift_tone
from lesionlens.synthetic.patterns import view_around

DERMOSCOPIC = np.full((72, 72, 3), (215, 170, 165), np.uint8)
DERMOSCOPIC[20:50, 25:55] = (90, 50, 45)


@pytest.mark.parametrize("kind", KINDS)
def test_a_photograph_is_a_function_of_its_number(kind):
    photo = clinical_photo(kind, 3, DERMOSCOPIC)
    assert (photo.shape, photo.dtype) == (DERMOSCOPIC.shape, np.uint8)
    np.testing.assert_array_equal(photo, clinical_photo(kind, 3, DERMOSCOPIC))
    assert (photo != clinical_photo(kind, 4, DERMOSCOPIC)).mean() > 0.5


def test_the_lesion_is_in_the_picture():
    """Skin is drawn before the lesion, so that the same number without lesion has the same skin."""
    plain, marked = (clinical_photo("ruler", 1, image).astype(int) for image in (np.full_like(DERMOSCOPIC, 180), DERMOSCOPIC))
    darker = (plain - marked).mean(axis=2) > 15
    assert 0.005 < darker.mean() < 0.4


def test_skin_has_the_tone_that_is_asked_for():
    view = view_around(0j, 50.0, 0.0, 64, 64)
    means = [draw_skin(view, np.random.default_rng(0), tone).mean() for tone in (-50, -20, 20, 60)]
    assert means == sorted(means)
    assert means[0] < 0.35
    assert means[-1] > 0.6


@pytest.mark.parametrize("ita_deg", [-45.0, -10.0, 20.0, 50.0])
def test_a_shifted_tone_is_measured_at_the_border(ita_deg):
    from lesionlens.assessment.subgroups.skin_tone import skin_of_border

    image = np.full((96, 96, 3), (222, 180, 150), np.uint8)
    image[30:66, 30:66] = (100, 60, 50)
    lesion = np.zeros((96, 96), bool)
    lesion[28:68, 28:68] = True
    assert skin_of_border(shift_tone(image, ita_deg), lesion).ita_deg == pytest.approx(ita_deg, abs=6)  # clipped colours


def test_a_shifted_tone_keeps_lesion_and_skin_apart():
    shifted = shift_tone(DERMOSCOPIC, -40.0).astype(float)
    assert shifted[0, 0].mean() - shifted[35, 40].mean() > 10
    assert shifted.mean() < DERMOSCOPIC.mean() / 1.5
