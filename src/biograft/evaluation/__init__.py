"""Whether it worked: intervals, the verdict, calibration. Arrays in, numbers out."""
