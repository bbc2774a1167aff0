"""What is wrong with a collection of images: broken files, duplicates, labels that disagree."""
