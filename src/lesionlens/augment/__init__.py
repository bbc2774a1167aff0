"""The two phases of augmentation."""
