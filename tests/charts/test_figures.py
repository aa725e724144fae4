"""Drawings: every kind of model can be drawn, and is told from the others."""

from typing import get_args

from recrepro.charts.figures import FAMILIES
from recrepro.store.records import RecordedModel


def test_every_family_of_a_record_has_a_colour_and_a_shape():
    families = get_args(RecordedModel.model_fields["family"].annotation)
    assert set(FAMILIES) == set(families)
    assert len(set(FAMILIES.values())) == len(families)
