"""The whole pipeline: from a folder of images to a report, one stage after another."""
