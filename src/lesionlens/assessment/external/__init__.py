"""External evaluation: a frozen model on images that it was not trained with, from another centre, camera or decade."""
