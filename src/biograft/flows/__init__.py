"""What users set out to do, one verb per file; each flow calls down and prints nothing."""
