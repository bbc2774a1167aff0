"""The whole road: from a folder of images to a report, one stage after another."""
