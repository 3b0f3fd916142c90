"""What comes with the package: folders of encoders and of models that answer, and how they are found by name."""
